//! A driver program's `main`: answers the host on the control socket, runs one thread for each
//! I/O queue.

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;

use outboard_sandbox::SandboxError;
use outboard_slots::{Region, inherited_descriptor};

use crate::control::{Control, ControlError};
use crate::controller::{Controller, InheritedRing, QueueSetup, Startup};
use crate::dispatch::DispatchQueues;
use crate::loops::{self, SingleSockets};
use crate::mailbox::{Answer, Mailbox, Order, Waker};
use crate::protocol::{
    FromDriver, OLDEST_PROTOCOL, PROTOCOL, Path, TaskManagement, ToDriver, agree_with_host,
};
use crate::runner::Runner;

/// The environment variable that says that standard input is the control socket.
pub const CONTROL_FD_VARIABLE: &str = "OUTBOARD_CONTROL_FD";

/// The environment variable that names the io_urings that a launcher has made.
pub const RINGS_VARIABLE: &str = "OUTBOARD_RINGS";

/// A driver program's whole `main`. Ends with the host: when it says so, or when it goes away.
pub fn run<C: Controller>(controller: C) -> ExitCode {
    // Before anything is opened.
    let rings = inherited_rings().into_iter();
    let Some(control) = control_socket() else {
        eprintln!(
            "this program is an Outboard driver and is started by a host; start it with `outboard bench` or `outboard serve` ({CONTROL_FD_VARIABLE} is not set)"
        );
        return ExitCode::from(2);
    };
    let copies = rustix::io::fcntl_dupfd_cloexec(&control, 3)
        .and_then(|sender| Ok((sender, rustix::io::fcntl_dupfd_cloexec(&control, 3)?)));
    let sender = match copies.map(|(sender, watched)| (sender, end_with_the_host(watched))) {
        Ok((sender, true)) => Arc::new(Control::new(sender)),
        _ => {
            eprintln!("driver: no descriptor or thread to watch the host with; raise its limits");
            return ExitCode::FAILURE;
        }
    };
    let mut driver = Driver { sender, startup: None, threads: Vec::new(), rings };
    match driver.serve(controller, Control::new(control)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { step, reason }) => {
            let _ = driver.sender.send(&FromDriver::Failed { step, reason }, &[]);
            ExitCode::FAILURE
        }
    }
}

struct Driver {
    sender: Arc<Control>,
    startup: Option<Startup>,
    threads: Vec<(Arc<Mailbox>, JoinHandle<()>)>,
    /// what the launcher has made, a queue each
    rings: std::vec::IntoIter<InheritedRing>,
}

/// Why a driver ends early.
struct Failure {
    step: String,
    reason: String,
}

fn failed(step: &str) -> impl Fn(String) -> Failure + '_ {
    move |reason| Failure { step: step.to_owned(), reason }
}

/// What a region and its sockets arrive as.
struct Mapping {
    region: Region,
    path: Path,
    sockets: Vec<OwnedFd>,
}

impl Driver {
    fn serve<C: Controller>(
        &mut self,
        mut controller: C,
        mut control: Control,
    ) -> Result<(), Failure> {
        let queues = DispatchQueues::default();
        let mut mapping = None;
        // Until `Map` the controller is ours alone; then its queues share it.
        loop {
            let Some((message, descriptors)) = self.receive(&mut control)? else { return Ok(()) };
            match message {
                ToDriver::Hello { protocol, oldest } => {
                    agree_with_host(protocol, oldest)
                        .map_err(|skew| failed("hello")(skew.to_string()))?;
                    let manifest = controller.manifest();
                    self.send(&FromDriver::Hello {
                        protocol: PROTOCOL,
                        oldest: OLDEST_PROTOCOL,
                        manifest,
                    })?;
                }
                ToDriver::Initialize { options, disks } => {
                    let startup = Startup { options, descriptors, disks, queues: queues.clone() };
                    let startup = self.startup.insert(startup);
                    let report = controller
                        .initialize(startup)
                        .map_err(|e| failed("initialize")(e.to_string()))?;
                    self.send(&FromDriver::Initialized { report, queues: queues.names() })?;
                }
                ToDriver::Map { path } => {
                    mapping = Some(self.map(&controller, path, descriptors)?);
                }
                ToDriver::Start => break,
                ToDriver::Manage(_) => return Err(failed("manage")("before Start".to_owned())),
                ToDriver::Stop => return self.send(&FromDriver::Stopped),
            }
        }
        let controller = Arc::new(controller);
        let Some(mapping) = mapping else {
            return Err(failed("start")("the host sent no region".to_owned()));
        };
        self.start(&controller, mapping)?;
        self.send(&FromDriver::Started)?;
        while let Some((message, _)) = self.receive(&mut control)? {
            match message {
                ToDriver::Manage(request) => self.manage(&request),
                ToDriver::Stop => {
                    self.stop();
                    controller.stop();
                    return self.send(&FromDriver::Stopped);
                }
                _ => return Err(failed("control")("start-up message after Start".to_owned())),
            }
        }
        // The host has gone: what is in flight ends or is fenced by its successor.
        Ok(())
    }

    fn map<C: Controller>(
        &self,
        controller: &C,
        path: Path,
        mut descriptors: Vec<OwnedFd>,
    ) -> Result<Mapping, Failure> {
        let fail = failed("map");
        if descriptors.is_empty() {
            return Err(fail("the host sent no region".to_owned()));
        }
        let region = Region::attach(descriptors.remove(0)).map_err(|e| fail(e.to_string()))?;
        let declined = match path {
            Path::Bundled => controller.map_bundled(&region).err().map(|e| e.to_string()),
            _ => None,
        };
        let slots = region.layout().slots();
        let identifiers = (0..slots).map(|s| controller.map_hba_data(s as u16)).collect();
        self.send(&FromDriver::Mapped { declined, identifiers })?;
        Ok(Mapping { region, path, sockets: descriptors })
    }

    fn start<C: Controller>(
        &mut self,
        controller: &Arc<C>,
        mapping: Mapping,
    ) -> Result<(), Failure> {
        let fail = failed("start");
        controller.start().map_err(|e| fail(e.to_string()))?;
        let Mapping { region, path, sockets } = mapping;
        let mut sockets = sockets.into_iter();
        if path == Path::SingleMap {
            let layout = region.layout();
            region
                .memory()
                .map_range(layout.pool, layout.config.pool_bytes as usize, false)
                .map_err(|e| fail(e.to_string()))?;
        }
        let queues = region.layout().config.queues;
        let (ready, opened) = std::sync::mpsc::channel::<Result<(), String>>();
        for index in 0..queues {
            let pair = match path {
                Path::Bundled | Path::Resident => None,
                Path::Single | Path::SingleMap => Some(
                    single_sockets(&mut sockets)
                        .ok_or_else(|| fail("a socket is missing".into()))?,
                ),
            };
            let waker = match &pair {
                None => Waker::Flag(region.clone(), index),
                Some(pair) => {
                    Waker::Event(pair.event.try_clone().map_err(|e| fail(format!("eventfd: {e}")))?)
                }
            };
            let mailbox = Arc::new(Mailbox::new(waker));
            let thread = IoThread {
                setup: QueueSetup {
                    index,
                    region: region.clone(),
                    mapped: path != Path::SingleMap,
                    ring: self.rings.next(),
                },
                sockets: pair,
                mailbox: Arc::clone(&mailbox),
                sender: Arc::clone(&self.sender),
            };
            let (controller, ready) = (Arc::clone(controller), ready.clone());
            let handle = std::thread::Builder::new()
                .name(format!("io {index}"))
                .spawn(move || thread.run(&*controller, &ready))
                .map_err(|e| fail(format!("no thread for I/O queue {index}: {e}")))?;
            self.threads.push((mailbox, handle));
        }
        for _ in 0..queues {
            let opened = opened.recv().unwrap_or_else(|_| Err("an I/O thread ended".to_owned()));
            opened.map_err(&fail)?;
        }
        Ok(())
    }

    fn manage(&self, request: &TaskManagement) {
        let answer = Arc::new(Answer {
            control: Arc::clone(&self.sender),
            left: AtomicUsize::new(self.threads.len()),
            id: request.id,
        });
        for (mailbox, _) in &self.threads {
            mailbox.post(Order::Manage(request.clone(), Arc::clone(&answer)));
        }
    }

    fn stop(&mut self) {
        for (mailbox, _) in &self.threads {
            mailbox.post(Order::Stop);
        }
        for (_, thread) in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    fn receive(&self, control: &mut Control) -> Result<Option<(ToDriver, Vec<OwnedFd>)>, Failure> {
        match control.receive(None) {
            Ok(message) => Ok(message),
            Err(ControlError::Closed) => Ok(None),
            Err(e) => Err(failed("control")(e.to_string())),
        }
    }

    fn send(&self, message: &FromDriver) -> Result<(), Failure> {
        match self.sender.send(message, &[]) {
            Ok(()) | Err(ControlError::Closed) => Ok(()),
            Err(e) => Err(failed("control")(e.to_string())),
        }
    }
}

/// What one I/O thread is made of.
struct IoThread {
    setup: QueueSetup,
    sockets: Option<SingleSockets>,
    mailbox: Arc<Mailbox>,
    sender: Arc<Control>,
}

impl IoThread {
    fn run<C: Controller>(
        self,
        controller: &C,
        ready: &std::sync::mpsc::Sender<Result<(), String>>,
    ) {
        let _told = TellOfPanic { sender: &self.sender, queue: self.setup.index };
        let one = core::num::NonZeroU64::MIN;
        let _ = rustix::thread::set_current_timer_slack(Some(one));
        let queue = match controller.open_queue(&self.setup) {
            Ok(queue) => queue,
            Err(e) => {
                let _ = ready.send(Err(e.to_string()));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let mut runner = Runner::new(Box::new(queue), &self.setup);
        let QueueSetup { index, region, mapped, .. } = &self.setup;
        // What it needs it has by now.
        match outboard_sandbox::restrict_io_thread() {
            Ok(()) | Err(SandboxError::NotFiltered) => {}
            Err(error) => eprintln!("driver, I/O queue {index}: {error}"),
        }
        let ended = match &self.sockets {
            None => loops::bundled(&mut runner, region, *index, &self.mailbox),
            Some(sockets) => {
                loops::single(&mut runner, region, *index, &self.mailbox, sockets, !mapped)
            }
        };
        if let Err(reason) = ended {
            let step = format!("I/O queue {index}");
            let _ = self.sender.send(&FromDriver::Failed { step, reason }, &[]);
        }
    }
}

/// Tells the host of an I/O thread's panic and ends the process: without that thread its queue's
/// tasks would never end.
struct TellOfPanic<'a> {
    sender: &'a Control,
    queue: u32,
}

impl Drop for TellOfPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let step = format!("I/O queue {}", self.queue);
            let reason = "its thread panicked; the panic's message is above".to_owned();
            let _ = self.sender.send(&FromDriver::Failed { step, reason }, &[]);
            std::process::exit(101);
        }
    }
}

fn single_sockets(fds: &mut impl Iterator<Item = OwnedFd>) -> Option<SingleSockets> {
    use rustix::event::{EventfdFlags, eventfd};
    let (requests, completions) = (fds.next()?, fds.next()?);
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok()?;
    Some(SingleSockets { requests, completions, event })
}

/// Ends this process as soon as the host has closed its end, whatever the driver's own threads hang
/// in: no host, no driver. `false` if there is no thread for it.
fn end_with_the_host(socket: OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let watch = move || {
        loop {
            // A hang-up is reported without being asked for; messages are another thread's.
            let mut fds = [PollFd::new(&socket, PollFlags::empty())];
            match poll(&mut fds, None) {
                Ok(_) if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) => {
                    std::process::exit(1);
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    };
    std::thread::Builder::new().name("host watch".to_owned()).spawn(watch).is_ok()
}

/// The control socket: the host passes it as standard input. It is moved away from there, so that
/// nothing else in the driver can read it by accident.
fn control_socket() -> Option<OwnedFd> {
    std::env::var_os(CONTROL_FD_VARIABLE)?;
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).ok()?;
    // At its end from the beginning, like /dev/null, which a sandbox does not have.
    let (ended, _) = rustix::pipe::pipe().ok()?;
    rustix::stdio::dup2_stdin(&ended).ok()?;
    Some(socket)
}

/// The rings that the launcher has made, as `OUTBOARD_RINGS` names them: `FD:DESCRIPTION`, commas
/// between.
fn inherited_rings() -> Vec<InheritedRing> {
    let named = std::env::var(RINGS_VARIABLE).unwrap_or_default();
    let ring = |named: &str| {
        let (fd, description) = named.split_once(':')?;
        let fd = Arc::new(inherited_descriptor(fd.parse().ok()?)?);
        Some(InheritedRing { fd, description: description.to_owned() })
    };
    named.split(',').filter_map(ring).collect()
}
