//! Disk URLs.

use outboard_disk::DiskSpec;

/// `bytes` is a disk URL as it comes from a command line.
pub fn disk_spec(bytes: &[u8]) {
    let Ok(url) = str::from_utf8(bytes) else { return };
    match url.parse::<DiskSpec>() {
        Ok(spec) => {
            let text = spec.to_string();
            assert_eq!(text.parse().as_ref(), Ok(&spec), "{text:?} is not what was parsed");
        }
        Err(error) => {
            assert_eq!(error.url, url);
            assert!(
                !error.rule.is_empty() && !error.mend.is_empty(),
                "no rule or no mend: {error}"
            );
        }
    }
}
