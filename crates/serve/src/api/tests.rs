use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

use super::*;
use crate::config::Flags;
use crate::control::{ReloadError, ReloadReport};
use crate::status::Status;
use crate::testing;

/// A server that does nothing and remembers what it was asked.
#[derive(Default)]
struct Mock {
    asked: Mutex<Vec<String>>,
    refuse: Mutex<Option<ReloadError>>,
    ill: Mutex<Option<String>>,
}

impl Control for Mock {
    fn status(&self) -> Status {
        testing::status()
    }

    fn reload(&self, config: Config) -> Result<ReloadReport, ReloadError> {
        self.asked.lock().unwrap().push(format!("reload of {} arrays", config.arrays.len()));
        match self.refuse.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(ReloadReport { changes: vec!["LUN 1 added".into()], ..Default::default() }),
        }
    }

    fn stop(&self) {
        self.asked.lock().unwrap().push("stop".into());
    }

    fn health(&self) -> Result<(), String> {
        match self.ill.lock().unwrap().clone() {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }
}

struct Server {
    folder: tempfile::TempDir,
    mock: Arc<Mock>,
    thread: ControlThread,
}

const FILE: &str = r#"
    [[array]]
    name = "a"
    members = ["mem:1Mi"]
    [[target]]
    name = "iqn.2026-01.com.example:a"
    luns = ["a"]
    [target.chap]
    users = [{ name = "ann", secret = "correct horse" }]
"#;

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("serve.toml");
        let head = "api = { socket = \"run/api.sock\", metrics_tcp = \"127.0.0.1:0\" }";
        std::fs::write(&file, format!("{head}\n{FILE}")).unwrap();
        let mock = Arc::new(Mock::default());
        let thread = start(setup(Source::file(&file, Flags::default()), mock.clone())).unwrap();
        Self { folder, mock, thread }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/api.sock")
    }

    fn ask(&self, request: &str) -> (u16, String, String) {
        exchange(UnixStream::connect(self.socket()).unwrap(), request)
    }

    fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.ask(&format!("GET {path}"));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn setup(source: Source, control: Arc<Mock>) -> Setup {
    let machine = Machine::for_tests();
    let config = source.read(&machine).unwrap();
    Setup { config, source, machine, control, signals: false }
}

/// Status, headers, body.
fn exchange(mut stream: impl Read + Write, request: &str) -> (u16, String, String) {
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn what_is_asked_is_answered() {
    let server = Server::start();
    let status: Status = serde_json::from_value(server.get("/v1/status")).unwrap();
    assert_eq!(status, testing::status());
    assert_eq!(server.get("/v1/targets").as_array().unwrap().len(), 1);
    let target = server.get("/v1/targets/iqn.2026-01.com.example:data");
    assert_eq!(target["luns"][1]["array"], "cuts");
    assert_eq!(server.get("/v1/sessions")[0]["isid"], "00023d000001");
    let config = server.get("/v1/config");
    assert_eq!(config["targets"][0]["chap"]["users"][0]["name"], "ann");
    assert!(!config.to_string().contains("correct horse"));
    let (status, head, body) = server.ask("GET /metrics");
    assert_eq!(status, 200);
    assert!(head.contains("openmetrics-text"), "{head}");
    assert!(body.contains("outboard_lun_tasks_total{"), "{body}");
    assert_eq!(server.ask("GET /healthz").2, "ok\n");
}

#[test]
fn the_description_has_every_request() {
    let server = Server::start();
    let description = server.get("/openapi.json");
    let paths = description["paths"].as_object().unwrap();
    let names: Vec<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "/healthz",
            "/metrics",
            "/v1/config",
            "/v1/extensions",
            "/v1/extensions/reload",
            "/v1/reload",
            "/v1/sessions",
            "/v1/status",
            "/v1/stop",
            "/v1/targets",
            "/v1/targets/{name}",
            "/v1/targets/{name}/trace",
        ]
    );
    for schema in ["Status", "TargetStatus", "LunStatus", "SessionStatus", "ApiProblem"] {
        assert!(description["components"]["schemas"][schema].is_object(), "{schema}");
    }
}

#[test]
fn a_trace_is_refused_with_what_can_be_asked_for() {
    let server = Server::start();
    for query in ["?tasks=0", "?tasks=7282", "?seconds=61", "?tasks=many", "?colour=1", "?tasks"] {
        let (status, _, body) = server.ask(&format!("POST /v1/targets/x/trace{query}"));
        assert_eq!(status, 400, "{query}: {body}");
        assert!(body.contains("tasks=1..7281&seconds=1..60"), "{body}");
    }
    let (status, _, body) = server.ask("POST /v1/targets/x/trace?tasks=7281&seconds=60");
    assert_eq!(status, 404, "{body}");
    assert!(body.contains("there is no target"), "{body}");
}

#[test]
fn problems_are_objects_with_their_mend() {
    let server = Server::start();
    let mut shown = String::new();
    for request in [
        "GET /v1/target",
        "DELETE /v1/status",
        "GET /v1/targets/x",
        "GET /v1/reload",
        "POST /metrics",
    ] {
        let (status, head, body) = server.ask(request);
        assert!(head.contains("application/problem+json"), "{head}");
        shown.push_str(&format!("{request}: {status} {body}\n"));
    }
    *server.mock.ill.lock().unwrap() = Some("I/O thread 1 has not turned for 5 s".into());
    let (status, _, body) = server.ask("GET /healthz");
    shown.push_str(&format!("GET /healthz: {status} {body}\n"));
    insta::assert_snapshot!(shown);
}

#[test]
fn reload_follows_the_file() {
    let server = Server::start();
    let file = server.folder.path().join("serve.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (status, _, body) = server.ask("POST /v1/reload");
    assert_eq!((status, body.contains("LUN 1 added")), (200, true), "{body}");
    let more = "[[array]]\nname = \"b\"\nmembers = [\"mem:1Mi\"]\n";
    std::fs::write(&file, format!("{text}\n{more}")).unwrap();
    assert_eq!(server.ask("POST /v1/reload").0, 200);
    assert_eq!(server.get("/v1/config")["arrays"].as_array().unwrap().len(), 2);
    std::fs::write(&file, text.replace("members", "memebrs")).unwrap();
    let (status, _, body) = server.ask("POST /v1/reload");
    assert_eq!(status, 422);
    assert!(body.contains("did you mean members?"), "{body}");
    std::fs::write(&file, text).unwrap();
    *server.mock.refuse.lock().unwrap() = Some(ReloadError::Refused {
        what: "io.threads: it cannot change while the server runs".into(),
        mend: "restart the server".into(),
    });
    let (status, _, body) = server.ask("POST /v1/reload");
    assert_eq!((status, body.contains("restart the server")), (409, true), "{body}");
    // what was refused is not in force
    assert_eq!(server.get("/v1/config")["arrays"].as_array().unwrap().len(), 2);
    let asked = server.mock.asked.lock().unwrap().clone();
    assert_eq!(asked, ["reload of 1 arrays", "reload of 2 arrays", "reload of 1 arrays"]);
}

#[test]
fn stop_is_passed_on() {
    let server = Server::start();
    assert_eq!(server.ask("POST /v1/stop").0, 202);
    assert_eq!(*server.mock.asked.lock().unwrap(), ["stop"]);
}

#[test]
fn flags_cannot_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let flags = Flags {
        array: vec!["disk:mem:1Mi".into()],
        api: Some(socket.display().to_string()),
        ..Flags::default()
    };
    let thread = start(setup(Source::flags(flags), Arc::default())).unwrap();
    let (status, _, body) = exchange(UnixStream::connect(&socket).unwrap(), "POST /v1/reload");
    assert_eq!((status, body.contains("--config FILE")), (409, true), "{body}");
    thread.stop();
    assert!(!socket.exists());
}

#[test]
fn tcp_has_metrics_only() {
    let server = Server::start();
    let address = server.thread.metrics_address().unwrap();
    let ask = |request: &str| exchange(TcpStream::connect(address).unwrap(), request).0;
    assert_eq!(ask("GET /metrics"), 200);
    assert_eq!(ask("GET /healthz"), 200);
    assert_eq!(ask("GET /v1/status"), 404);
    assert_eq!(ask("POST /v1/stop"), 404);
    assert!(server.mock.asked.lock().unwrap().is_empty());
}

#[test]
fn only_its_user_may_connect() {
    let server = Server::start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.socket()), 0o600);
    assert_eq!(mode(server.socket().parent().unwrap()), 0o700);
}

#[test]
fn a_socket_has_one_server() {
    let server = Server::start();
    let source = Source::file(&server.folder.path().join("serve.toml"), Flags::default());
    let error = start(setup(source.clone(), Arc::default())).unwrap_err().to_string();
    assert!(error.contains("another server holds this control socket"), "{error}");
    let socket = server.socket();
    server.thread.stop();
    assert!(!socket.exists());
    // left behind by a server that was killed
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let again = start(setup(source.clone(), Arc::default())).unwrap();
    assert_eq!(exchange(UnixStream::connect(&socket).unwrap(), "GET /healthz").0, 200);
    again.stop();
    // held by a program that does not know the lock
    let held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = start(setup(source.clone(), Arc::default())).unwrap_err();
    assert!(matches!(error, ApiError::Held { .. }), "{error}");
    drop(held);
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "mine").unwrap();
    let error = start(setup(source, Arc::default())).unwrap_err();
    assert!(matches!(error, ApiError::NoSocket { .. }), "{error}");
    assert_eq!(std::fs::read(&socket).unwrap(), b"mine");
}

#[test]
fn clients_that_stall_do_not_hold_up_others() {
    let server = Server::start();
    let stalled: Vec<UnixStream> =
        (0..MAX_CONNECTIONS - 1).map(|_| UnixStream::connect(server.socket()).unwrap()).collect();
    assert_eq!(server.ask("GET /healthz").0, 200);
    drop(stalled);
    assert_eq!(server.ask("GET /healthz").0, 200);
}

#[test]
fn signals_reload_and_stop() {
    use rustix::process::{Signal, getpid, kill_process};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    std::fs::write(&file, format!("api.socket = \"none\"\n{FILE}")).unwrap();
    let mock = Arc::new(Mock::default());
    let setup = setup(Source::file(&file, Flags::default()), mock.clone());
    let thread = start(Setup { signals: true, ..setup }).unwrap();
    let wait_for = |asked: &[&str]| {
        for _ in 0..500 {
            if *mock.asked.lock().unwrap() == asked {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("asked for {:?}", mock.asked.lock().unwrap());
    };
    kill_process(getpid(), Signal::HUP).unwrap();
    wait_for(&["reload of 1 arrays"]);
    // a file with mistakes changes nothing
    std::fs::write(&file, "[[array]]").unwrap();
    kill_process(getpid(), Signal::HUP).unwrap();
    kill_process(getpid(), Signal::TERM).unwrap();
    wait_for(&["reload of 1 arrays", "stop"]);
    thread.stop();
}

#[test]
fn rubbish_is_answered_or_closed() {
    let server = Server::start();
    for rubbish in
        [&b"\0\0\0\0\r\n\r\n"[..], b"GET", b"GET /v1/status HTTP/9.9\r\n\r\n", &[0xff; 100_000]]
    {
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        let _ = stream.write_all(rubbish);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    assert_eq!(server.ask("GET /healthz").0, 200);
}
