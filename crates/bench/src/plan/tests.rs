use outboard_raid::Level;

use super::*;

fn refused(change: impl FnOnce(&mut PlanOptions)) -> String {
    let mut options = PlanOptions::default();
    change(&mut options);
    Plan::new(options).unwrap_err().to_string()
}

fn urls(disks: &[&str]) -> Vec<String> {
    disks.iter().map(ToString::to_string).collect()
}

#[test]
fn the_default_run_is_about_a_minute() {
    let plan = Plan::new(PlanOptions::default()).unwrap();
    assert_eq!((plan.frames, plan.frame_stride, plan.commands_per_frame()), (11, 22_118_400, 22));
    assert_eq!(plan.array.known_capacity(), Ok(Some(8 << 30)));
    assert_eq!(plan.rows, Row::ONE_THREAD);
    let seconds = plan.steps() as f64 * plan.file_bytes() as f64 / 645e6;
    assert!((45.0..70.0).contains(&seconds), "{seconds}");
}

#[test]
fn frames_are_padded_to_what_every_disk_takes() {
    let plan = Plan::new(PlanOptions {
        raster: "ntsc".parse().unwrap(),
        format: crate::format::PixelFormat::Yuv8,
        ..PlanOptions::default()
    })
    .unwrap();
    assert_eq!((plan.frame_bytes, plan.frame_stride), (699_840, 700_416));
    assert_eq!(plan.commands_per_frame(), 1);
}

#[test]
fn lists_are_sorted_and_each_is_there_once() {
    let plan = Plan::new(PlanOptions {
        queue_depths: vec![8, 1, 8],
        rows: vec![Row::BUNDLED, Row::RESIDENT, Row::BUNDLED],
        ..PlanOptions::default()
    })
    .unwrap();
    assert_eq!(plan.queue_depths, [1, 8]);
    assert_eq!(plan.rows, [Row::RESIDENT, Row::BUNDLED]);
    assert_eq!(plan.steps(), 40);
}

#[test]
fn what_cannot_be_names_the_thing_the_rule_and_the_mend() {
    let messages = [
        refused(|o| o.disks = urls(&["floppy:a"])),
        refused(|o| o.disks = Vec::new()),
        refused(|o| o.disks = urls(&["/dev/a", "mem:1Gi", "file:/dev/a"])),
        refused(|o| o.disks = urls(&["mem:256Ki"])),
        refused(|o| o.chunk = 3000),
        refused(|o| o.size = 16_000_000_000),
        refused(|o| o.size = 22_000_000),
        refused(|o| o.command_size = 1000),
        refused(|o| o.command_size = 0),
        refused(|o| o.queue_depths = vec![1, 0]),
        refused(|o| o.queue_depths = vec![1025]),
        refused(|o| o.queue_depths = Vec::new()),
        refused(|o| (o.queue_depths, o.command_size) = (vec![1024], 2 << 20)),
        refused(|o| o.rounds = 0),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn an_opened_array_is_checked_again() {
    let options = PlanOptions { disks: urls(&["/a", "/b"]), ..PlanOptions::default() };
    let plan = Plan::new(PlanOptions { command_size: 512, ..options }).unwrap();
    assert_eq!(plan.array.known_capacity(), Ok(None));
    assert!(plan.array.has_files());
    assert!(plan.check_array(1 << 30, 512).is_ok());
    assert!(plan.check_array(1 << 20, 512).is_err());
    assert!(plan.check_array(1 << 30, 4096).is_err());
}

#[test]
fn random_and_cost_plans_have_rules_too() {
    let random = |change: fn(&mut RandomOptions)| {
        let mut options = RandomOptions::default();
        change(&mut options);
        RandomPlan::new(options).unwrap_err().to_string()
    };
    let cost = |change: fn(&mut CostOptions)| {
        let mut options = CostOptions::default();
        change(&mut options);
        CostPlan::new(options).unwrap_err().to_string()
    };
    let messages = [
        random(|o| o.block_size = 1000),
        random(|o| o.read_share = 101),
        random(|o| o.seconds = f64::NAN),
        random(|o| (o.level, o.block_size) = (Level::Linear, 2 << 40)),
        cost(|o| o.bundles = vec![33]),
        cost(|o| o.bundles = Vec::new()),
        cost(|o| o.block_size = 0),
        cost(|o| o.rounds = 1001),
    ];
    insta::assert_snapshot!(messages.join("\n"));
    let plan = RandomPlan::new(RandomOptions::default()).unwrap();
    assert_eq!((plan.steps(), plan.writes()), (25, false));
    CostPlan::new(CostOptions::default()).unwrap();
}

#[test]
fn pins() {
    assert_eq!("0:3".parse(), Ok(Pinning::Cpus { host: 0, driver: 3 }));
    for text in ["auto", "none", "4:2"] {
        assert_eq!(text.parse::<Pinning>().unwrap().to_string(), text);
    }
    for bad in ["", "1", "a:b", "1:2:3"] {
        assert!(bad.parse::<Pinning>().is_err(), "{bad}");
    }
    assert_eq!(Pinning::Auto.resolve(&[2, 5, 7]), Ok(Some((2, 5))));
    assert_eq!(Pinning::Auto.resolve(&[2]), Ok(None));
    let beyond = Pinning::Cpus { host: 0, driver: 9 };
    insta::assert_snapshot!(beyond.resolve(&[0, 1]).unwrap_err());
    let allowed = allowed_cpus();
    assert!(!allowed.is_empty());
    let mut one = rustix::thread::CpuSet::new();
    one.set(allowed[0]);
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    assert_eq!(allowed_cpus(), allowed, "a pinned thread does not change them");
}
