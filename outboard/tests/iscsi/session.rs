//! Our own initiator, for what no foreign program does: many outstanding commands that are checked
//! byte by byte, connections that end in the middle, reservations.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use outboard_iscsi::initiator::{Client, ClientError, Command, Completion, Wishes, task::lun};
use outboard_scsi::command::build::{Cdb, read_16, write_16};
use outboard_scsi::{Status, command::build};

use super::TARGET;
use super::server::Server;

pub(crate) const BLOCK: usize = 512;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A session of one connection, on the server's LUN.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client<TcpStream>,
    pub(crate) lun: [u8; 8],
}

/// What an initiator of this name asks for in its login.
pub(crate) fn wishes(name: &str) -> Wishes {
    Wishes::normal(&format!("iqn.2026-11.test:{name}"), TARGET)
}

/// A connection that does not wait for ever.
pub(crate) fn connect(portal: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(portal)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Session {
    /// Logs in.
    pub(crate) fn try_open(server: &Server, wishes: Wishes) -> Result<Self, ClientError> {
        let client = Client::login(connect(server.portal())?, wishes)?;
        Ok(Self { client, lun: lun(server.lun()) })
    }

    /// Logs in and takes the unit attentions that are waiting.
    #[track_caller]
    pub(crate) fn open(server: &Server, wishes: Wishes) -> Self {
        let mut session = match Self::try_open(server, wishes) {
            Ok(session) => session,
            Err(error) => panic!("login: {error}"),
        };
        session.settle();
        session
    }

    /// Takes unit attentions until there are none.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        for _ in 0..16 {
            if self.run(&build::test_unit_ready(), &[], 0).status == Status::Good.code() {
                return;
            }
        }
        panic!("unit attentions without an end");
    }

    /// Runs a command; only the transport may not fail.
    #[track_caller]
    pub(crate) fn run(&mut self, cdb: &Cdb, data_out: &[u8], room: u32) -> Completion {
        match self.client.command(self.lun, cdb.as_slice(), data_out, room) {
            Ok(completion) => completion,
            Err(error) => panic!("{cdb:?}: {error}"),
        }
    }

    /// Runs a command that must end well; what it read.
    #[track_caller]
    pub(crate) fn good(&mut self, cdb: &Cdb, data_out: &[u8], room: u32) -> Vec<u8> {
        let completion = self.run(cdb, data_out, room);
        assert_eq!(completion.status, Status::Good.code(), "{cdb:?}: {completion:?}");
        completion.data
    }

    #[track_caller]
    pub(crate) fn write(&mut self, lba: u64, data: &[u8]) {
        self.good(&write_16(lba, blocks(data.len())), data, 0);
    }

    #[track_caller]
    pub(crate) fn read(&mut self, lba: u64, bytes: usize) -> Vec<u8> {
        let data = self.good(&read_16(lba, blocks(bytes)), &[], u32::try_from(bytes).unwrap());
        assert_eq!(data.len(), bytes);
        data
    }

    /// Sends a command and does not wait.
    #[track_caller]
    pub(crate) fn submit(&mut self, cdb: &Cdb, data_out: &[u8], room: u32) -> u32 {
        let command = Command::new(self.lun, cdb.as_slice());
        self.client.submit(&Command { data_out, expected_in: room, ..command }).unwrap()
    }
}

pub(crate) fn blocks(bytes: usize) -> u32 {
    u32::try_from(bytes / BLOCK).unwrap()
}
