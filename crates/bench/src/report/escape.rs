use core::fmt;

/// Text within HTML or an attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let (text, last) = match piece.char_indices().next_back() {
                Some((at, last)) => (&piece[..at], last),
                None => continue,
            };
            f.write_str(text)?;
            match last {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out() {
        let text = Escaped("<a href='x' b=\"y\">&\u{e9}").to_string();
        assert_eq!(text, "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;\u{e9}");
        assert_eq!(Escaped("").to_string(), "");
        assert_eq!(Escaped("plain").to_string(), "plain");
    }
}
