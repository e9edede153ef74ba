//! `outboard status`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{StatusArgs, client, put, say, tables};
use crate::config::Machine;
use crate::status::Status;

/// `outboard status`.
pub fn status(args: &StatusArgs) -> ExitCode {
    let socket = args.socket.clone().unwrap_or_else(default_socket);
    let status: Status = match client::get(&socket, "/v1/status") {
        Ok(status) => status,
        Err(error) => {
            say(&format!("outboard: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match args.json {
        false => put(&tables::render(&status)),
        true => match serde_json::to_string_pretty(&status) {
            Ok(json) => put(&(json + "\n")),
            Err(error) => {
                say(&format!("outboard: {error}"));
                ExitCode::FAILURE
            }
        },
    }
}

pub(super) fn default_socket() -> PathBuf {
    Machine::here().runtime_folder.join("api.sock")
}
