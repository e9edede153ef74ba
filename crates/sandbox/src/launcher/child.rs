//! The new process: restricts itself, step by step, and executes the driver.

use core::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;
use rustix::process::Signal;

use super::birth::Namespaces;
use super::program::Program;
use super::root::View;
use super::{
    Failure, RINGS_VARIABLE, Request, Ring, at, birth, landlock, limits, linked, privileges,
    program, tell,
};
use crate::message::{FromSandbox, ToSandbox, send};
use crate::policy::{self, Facts};
use crate::{Measure, Mode, Spec, sys};

/// Everything that it was born with.
pub(super) struct Child<'a> {
    pub(super) request: Request,
    /// the io_urings' descriptors and the text that each is mapped by
    pub(super) rings: &'a [Ring],
    pub(super) program: Program,
    pub(super) view: View,
    pub(super) root: bool,
    pub(super) socket: &'a OwnedFd,
    pub(super) link: OwnedFd,
}

/// How far it has come: which descriptor reaches the host.
enum Stage {
    Born,
    Placed,
}

/// Descriptors at numbers of their own, out of the driver's way.
#[derive(Clone, Copy)]
struct Places {
    program: RawFd,
    socket: RawFd,
    link: RawFd,
}

impl Places {
    fn of(spec: &Spec) -> Self {
        let program = program::number(spec);
        Self { program, socket: program + 1, link: program + 2 }
    }
}

/// Tries a measure and notes what has become of it.
fn note(measures: &mut Vec<Measure>, name: &str, tried: Result<(), String>) {
    measures.push(Measure::of(name, tried));
}

fn said(error: Errno) -> String {
    error.to_string()
}

impl Child<'_> {
    /// Executes the driver, or tells why not and ends. Nothing is dropped: most numbers are closed
    /// on the way.
    pub(super) fn run(mut self) -> ! {
        if let Some(namespaces) = linked::<Namespaces>(&self.link) {
            let places = Places::of(&self.request.spec);
            match self.prepare(namespaces, places) {
                Err((Stage::Born, failure)) => tell(self.socket, failure),
                Err((Stage::Placed, failure)) => tell(sys::placed(places.socket), failure),
                Ok(never) => match never {},
            }
        }
        // Without an order the launcher has ended, or has no use for this process.
        std::process::exit(1)
    }

    fn prepare(
        &mut self,
        namespaces: Namespaces,
        places: Places,
    ) -> Result<Infallible, (Stage, Failure)> {
        self.begin(places).map_err(|failure| (Stage::Born, failure))?;
        self.restrict(namespaces, places).map_err(|failure| (Stage::Placed, failure))
    }

    fn begin(&self, places: Places) -> Result<(), Failure> {
        rustix::process::setsid().map_err(at("session"))?;
        sys::reset_signals().map_err(at("signals"))?;
        self.place(places).map_err(at("descriptors"))
    }

    fn restrict(&mut self, namespaces: Namespaces, places: Places) -> Result<Infallible, Failure> {
        let spec = self.request.spec.clone();
        let wanted = spec.mode != Mode::Off;
        let mut measures = Vec::new();
        if wanted {
            self.restrict_itself(&spec, namespaces, &mut measures);
        }
        // After the last change of user, which would undo it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(at("end with the host"))?;
        let execution = Execution::of(&spec, self.rings)?;
        close_all_but(places, self.rings).map_err(at("descriptors"))?;
        if wanted {
            let filtered = filter(&spec, places, &mut measures);
            note(&mut measures, "system call filter", filtered);
        }
        wait_for_the_host(places, measures)?;
        Err(execution.execute(places, self.root && wanted))
    }

    /// The three standard descriptors, and those that execution closes.
    fn place(&self, places: Places) -> std::io::Result<()> {
        sys::place(&self.program.file, places.program, true)?;
        sys::place(self.socket, places.socket, true)?;
        sys::place(&self.link, places.link, true)?;
        sys::place(&self.request.control, 0, false)?;
        sys::place(&self.request.log, 1, false)?;
        sys::place(&self.request.log, 2, false)
    }

    /// Another view, another user, limits, and no way back.
    fn restrict_itself(&self, spec: &Spec, namespaces: Namespaces, measures: &mut Vec<Measure>) {
        if namespaces.mounts {
            note(measures, birth::MOUNT, self.view.enter());
        }
        if namespaces.host_name {
            sys::set_host_name(c"driver");
        }
        if self.root {
            note(measures, "unprivileged user", privileges::become_nobody());
        }
        note(measures, "limits", limits::apply(spec, &self.request.disks));
        note(measures, "limit of threads", limits::threads(spec, namespaces.user));
        let no_new = rustix::thread::set_no_new_privs(true).map_err(said);
        note(measures, "no new privileges", no_new);
        note(measures, "Landlock", landlock::restrict(&self.view, &self.program));
        note(measures, "capabilities", privileges::drop_all());
    }
}

/// Closes what is not the driver's or needed until it executes.
fn close_all_but(places: Places, rings: &[Ring]) -> std::io::Result<()> {
    let mut kept: Vec<RawFd> = rings.iter().map(|(ring, _)| ring.as_raw_fd()).collect();
    kept.extend([0, 1, 2, places.program, places.socket, places.link]);
    kept.sort_unstable();
    let mut first = 0;
    for number in kept {
        sys::close_range(first, number - 1)?;
        first = number + 1;
    }
    sys::close_range(first, RawFd::MAX)
}

/// Installs both filters. The launcher gets the questions of the first.
fn filter(spec: &Spec, places: Places, measures: &mut Vec<Measure>) -> Result<(), String> {
    let facts = Facts {
        pid: rustix::process::getpid().as_raw_nonzero().get().cast_unsigned(),
        program: places.program.cast_unsigned(),
        rings: spec.rings != 0,
    };
    let policy = policy::process(facts).map_err(|e| e.to_string())?;
    let link = sys::placed(places.link);
    let once = match sys::install_filter(&policy::answers(true), true) {
        Ok(Some(listener)) => {
            send(link, &(), &[listener.as_fd()]).map_err(|e| e.to_string())?;
            Ok(())
        }
        Ok(None) => Err("the kernel gave no descriptor".to_owned()),
        Err(e) => {
            sys::install_filter(&policy::answers(false), false).map_err(|e| e.to_string())?;
            Err(e.to_string())
        }
    };
    note(measures, "execution once", once);
    sys::install_filter(&policy, false).map(drop).map_err(|e| e.to_string())
}

/// Reports, and waits until the host says that it is there.
fn wait_for_the_host(places: Places, measures: Vec<Measure>) -> Result<(), Failure> {
    let socket = sys::placed(places.socket);
    send(socket, &FromSandbox::Ready { measures }, &[]).map_err(at("host"))?;
    match crate::message::receive::<ToSandbox>(socket, None) {
        Ok(crate::message::Received::Message(ToSandbox::Go, _)) => Ok(()),
        _ => Err(Failure { step: "host", reason: "it has gone".to_owned() }),
    }
}

/// The strings of an execution.
struct Execution {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Execution {
    fn of(spec: &Spec, rings: &[Ring]) -> Result<Self, Failure> {
        let text = |bytes: Vec<u8>| CString::new(bytes).map_err(at("arguments"));
        let mut arguments = vec![text(spec.program.as_os_str().as_bytes().to_vec())?];
        for argument in &spec.arguments {
            arguments.push(text(argument.clone().into_bytes())?);
        }
        let mut environment = Vec::new();
        for (name, value) in &spec.environment {
            environment.push(text(format!("{name}={value}").into_bytes())?);
        }
        if !rings.is_empty() {
            let named = |(fd, parameters): &Ring| format!("{}:{parameters}", fd.as_raw_fd());
            let list = rings.iter().map(named).collect::<Vec<_>>().join(",");
            environment.push(text(format!("{RINGS_VARIABLE}={list}").into_bytes())?);
        }
        Ok(Self { arguments, environment })
    }

    fn execute(&self, places: Places, nobody: bool) -> Failure {
        let arguments: Vec<&CStr> = self.arguments.iter().map(CString::as_c_str).collect();
        let environment: Vec<&CStr> = self.environment.iter().map(CString::as_c_str).collect();
        let error = sys::execute(places.program, &arguments, &environment);
        let mend = match error.raw_os_error() {
            Some(libc::EACCES) if nobody => {
                "; a driver of root's runs as nobody (65534), who must be allowed to execute it (chmod o+rx)"
            }
            Some(libc::ENOENT) => "; what loads it is not in /lib*, /usr/lib* or its package",
            _ => "",
        };
        Failure { step: "execution", reason: format!("{error}{mend}") }
    }
}
