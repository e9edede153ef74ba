use outboard_bench::plan::*;
use outboard_bench::row::Row;
use outboard_bench::sample::*;
struct O;
impl Observer for O {
    fn plan(&mut self, _: u64, _: &str) {}
    fn begin(&mut self, l: &str) {
        eprintln!("{} {l}", outboard_slots::Time::now())
    }
    fn advance(&mut self, _: u64, _: u64) {}
    fn end(&mut self, s: &Sample) {
        println!(
            "{:10} t{} qd{:<3} {:7} {:9.1} MB/s {:10.0} iops cpu/task {:8.1} (host {:7.1} drv {:7.1}) p50 {} p99 {} err {}",
            s.path.name(),
            s.threads,
            s.queue_depth,
            s.phase.name(),
            s.bytes as f64 * 1e3 / s.wall_ns as f64,
            s.tasks as f64 * 1e9 / s.wall_ns as f64,
            s.cpu_ns as f64 / s.tasks as f64,
            s.host_cpu_ns as f64 / s.tasks as f64,
            s.driver_cpu_ns as f64 / s.tasks as f64,
            s.latency.value_at_quantile(0.5),
            s.latency.value_at_quantile(0.99),
            s.errors
        )
    }
    fn note(&mut self, t: &str) {
        println!("note {t}")
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a[1] == "driver" {
        outboard_array::main();
        return;
    }
    let disks: Vec<String> = a[2..].to_vec();
    if a[1] == "random" {
        let mut o = RandomOptions::default();
        if !disks.is_empty() {
            o.disks = disks.clone();
        }
        o.seconds = 0.5;
        o.rounds = 3;
        if let Ok(d) = std::env::var("QD") {
            o.queue_depth = d.parse().unwrap();
        }
        if let Ok(p) = std::env::var("ROWS") {
            o.rows = p.split(',').map(|r| r.parse::<Row>().unwrap()).collect();
        }
        outboard_bench::run::random(&RandomPlan::new(o).unwrap(), &mut O)
            .map_err(|e| println!("{e}"))
            .ok();
    }
    if a[1] == "system" {
        let mut o = PlanOptions::default();
        if !disks.is_empty() {
            o.disks = disks.clone();
        }
        o.overwrite = true;
        o.rounds = 1;
        o.rows = vec![Row::RESIDENT, Row::SINGLE, Row::SINGLE_MAP, Row::BUNDLED];
        o.verify = std::env::var("VERIFY").is_ok();
        if let Ok(d) = std::env::var("QD") {
            o.queue_depths = vec![d.parse().unwrap()];
        }
        outboard_bench::run::system_test(&Plan::new(o).unwrap(), &mut O)
            .map_err(|e| println!("{e}"))
            .ok();
    }
    if a[1] == "cost" {
        let c = outboard_bench::run::cost(&CostPlan::new(CostOptions::default()).unwrap(), &mut O)
            .unwrap();
        println!("{c:#?}");
    }
}
