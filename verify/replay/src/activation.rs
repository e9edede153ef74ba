//! The conversation that starts a driver, with any driver at the other end.

use outboard_hba::protocol::{FromDriver, Path, ToDriver};
use outboard_host::driver::{Activation, Step};
use outboard_host::stack::Stack;
use outboard_slots::{Region, RegionConfig};

/// Longest list of slots that a stack is made for here.
const SLOTS: u32 = 8;

/// Each line of `bytes` is one control message of the driver. What activation lets pass must make
/// a stack or a clear refusal.
pub fn activation(bytes: &[u8]) {
    let mut activation = Activation::new(serde_json::Value::Null, Path::Bundled);
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Ok(message) = serde_json::from_slice::<ToDriver>(line) {
            round_trips(&message);
        }
        let Ok(message) = serde_json::from_slice::<FromDriver>(line) else { continue };
        round_trips(&message);
        let before = activation.step();
        match activation.answer(message) {
            Ok(after) => assert_ne!(before, after, "an answer was taken and nothing happened"),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        }
    }
    if activation.step() == Step::Running {
        serve(&activation);
    }
}

/// A message that was read is written and read back.
fn round_trips<M: serde::Serialize + serde::de::DeserializeOwned>(message: &M) {
    let text = serde_json::to_string(message).expect("a message is written");
    let again: M = serde_json::from_str(&text).expect("a written message is read");
    let _ = serde_json::to_string(&again).expect("and written again");
}

fn serve(activation: &Activation) {
    let report = activation.report().expect("a running driver has reported");
    let config = RegionConfig {
        slots_per_queue: report.maximum_task_count.min(SLOTS),
        queues: 1,
        pool_bytes: 64 << 10,
        scratch_bytes: 0,
    };
    let region = Region::create(config).expect("a small region");
    for target in &report.targets {
        if let Err(error) = Stack::new(report, target.id, activation.identifiers(), &region, 0) {
            assert!(!error.to_string().is_empty());
        }
    }
}
