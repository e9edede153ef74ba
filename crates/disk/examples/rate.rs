//! Requests per second of disks on one thread, without anything above them.
//!
//! `cargo run --release -p outboard-disk --example rate -- mem:256Mi [BYTES [DEPTH [SECONDS]]]`
//! reads at random; several URLs, joined with commas, are used in turn.

use std::error::Error;

use outboard_disk::{Disk, Engine, EngineConfig, Op, OpenOptions, Opened, Request, Segment, open};
use outboard_slots::doorbell::Doorbell;
use outboard_slots::{Memory, SleepFlag, Time};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, standard: u64| args.get(at).map_or(Ok(standard), |text| text.parse::<u64>());
    let (bytes, depth, seconds) = (number(1, 4096)?, number(2, 32)?, number(3, 1)?);
    let memory = Memory::create("buffers", (depth * bytes) as usize + 4096)?;
    memory.populate()?;
    let config = EngineConfig { depth: depth as u32 };
    let mut engine = Engine::new(config, memory.clone(), Some((0, depth * bytes)))?;
    let opened: Vec<Opened> = args
        .first()
        .map_or("null:", String::as_str)
        .split(',')
        .map(|url| Ok(open(&url.parse()?, &OpenOptions::default())?))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let mut disks: Vec<Box<dyn Disk>> =
        opened.iter().map(|opened| opened.attach(&mut engine)).collect::<Result<_, _>>()?;
    for note in engine.notes() {
        println!("note: {note}");
    }
    let flag = SleepFlag::new(memory.word32(depth * bytes)?);

    let mut free: Vec<u64> = (0..depth).collect();
    let mut done = Vec::with_capacity(depth as usize);
    let (mut random, mut ended, mut waits) = (1_u64, 0_u64, 0_u64);
    let start = Time::now();
    let (mut now, mut rounds) = (start, 0_u64);
    while now.since(start).as_secs() < seconds {
        while let Some(tag) = free.pop() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let disk = &mut disks[(random >> 33) as usize % opened.len()];
            let offset = (random >> 20) % (disk.limits().len_bytes() / bytes) * bytes;
            let segments = [Segment { offset: tag * bytes, len: bytes as u32 }];
            disk.submit(
                &mut engine,
                Request { tag, op: Op::Read, offset, len: bytes, segments: &segments },
            )?;
        }
        rounds += 1;
        if rounds % 8 == 0 || engine.in_kernel() > 0 {
            now = Time::now();
        }
        engine.turn(now);
        for disk in &mut disks {
            disk.poll(&mut engine, &mut done);
        }
        if done.is_empty() {
            waits += 1;
            let until = disks.iter().map(|disk| disk.next_event()).min().unwrap_or(Time::NEVER);
            flag.announce();
            engine.wait(Doorbell::Flag(flag), until);
            flag.withdraw();
        }
        ended += done.len() as u64;
        for completion in done.drain(..) {
            completion.result?;
            free.push(completion.tag);
        }
    }
    let elapsed = now.since(start).as_secs_f64();
    let times = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu = times.tv_sec as f64 + times.tv_nsec as f64 / 1e9;
    println!(
        "{:.0} requests/s, {:.0} ns each, {:.1} MB/s, {waits} waits, {cpu:.2} s CPU in all",
        ended as f64 / elapsed,
        elapsed * 1e9 / ended as f64,
        (ended * bytes) as f64 / elapsed / 1e6,
    );
    Ok(())
}
