//! `outboard array`: arrays that mdadm and Linux understand.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use outboard_disk::DiskSpec;
use outboard_disk::units::{format_size, parse_size};
use outboard_raid::spec::DEFAULT_CHUNK_BYTES;
use outboard_raid::{ArraySpec, Level, ZoneLayout};
use serde::Serialize;

use crate::assemble::{Assembled, Order, assemble};
use crate::create::{CreateOptions, DEFAULT_DATA_OFFSET, create_on};
use crate::error::MdError;
use crate::examine::Report;
use crate::member::{Held, Purpose};
use crate::stop::stop;
use crate::uuid::Uuid;

/// Make and examine arrays with Linux md superblocks (version 1.2)
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 done, 1 the disk or the kernel failed, 2 refused or wrong usage.\n\n\
                  Examples:\n  \
                  outboard array create --name backup /dev/sdb /dev/sdc\n  \
                  outboard array create --level linear a.img b.img\n  \
                  outboard array examine a.img b.img\n  \
                  outboard array stop a.img b.img"
)]
pub struct ArrayArgs {
    #[command(subcommand)]
    command: ArrayCommand,
}

#[derive(Debug, Subcommand)]
enum ArrayCommand {
    /// Write the superblocks of a new array on its members
    Create(CreateArgs),
    /// Print what members say about their array, and whether it can run
    Examine(ExamineArgs),
    /// Prove that nobody runs the array, and mark its members clean
    ///
    /// An array runs in the server that has it, which owns its members; stopping the server, or
    /// taking the array out of its configuration, stops the array. This command then takes every
    /// member exclusively, checks that they make their array, and writes the time and the clean
    /// state on each, as md does when it stops an array. Superblocks and data stay.
    Stop(StopArgs),
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// Members in order: files or block devices; DISK?offset=SIZE&length=SIZE is a part of one
    #[arg(value_name = "DISK", required = true)]
    members: Vec<DiskSpec>,

    /// 0 (striped) or linear
    #[arg(long, short, value_name = "LEVEL", default_value_t = Level::Raid0)]
    level: Level,

    /// Chunk, a power of two; of a linear array what its members are rounded to
    /// [default: 512Ki, linear: none]
    #[arg(long, short, value_name = "SIZE", value_parser = chunk)]
    chunk: Option<u32>,

    /// Where the chunks of a RAID 0 over members of unequal length go once the shortest is full
    #[arg(long, value_enum, default_value_t = Layout::Original)]
    layout: Layout,

    /// Name of the array
    #[arg(long, short = 'N', value_name = "NAME", default_value = "array")]
    name: String,

    /// Host that it belongs to, written before the name; `none` leaves it out [default: this one]
    #[arg(long, value_name = "HOST")]
    homehost: Option<String>,

    /// Identifier of the array [default: by chance]
    #[arg(long, value_name = "UUID")]
    uuid: Option<Uuid>,

    /// Where data begins on each member [default: 1Mi]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    data_offset: Option<u64>,

    /// Give up what is on the members
    #[arg(long, short)]
    force: bool,

    /// Print the array as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct ExamineArgs {
    /// Files or block devices
    #[arg(value_name = "DISK", required = true)]
    members: Vec<DiskSpec>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct StopArgs {
    /// All members of the array, in any order
    #[arg(value_name = "DISK", required = true)]
    members: Vec<DiskSpec>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Layout {
    /// as Linux before 3.14, and as mdadm makes them
    Original,
    /// as Linux from 3.14 to 5.3
    Alternate,
}

/// Runs the command: results on standard output, refusals on standard error.
pub fn run(args: &ArrayArgs) -> ExitCode {
    let done = match &args.command {
        ArrayCommand::Create(args) => create_array(args),
        ArrayCommand::Examine(args) => examine_members(args),
        ArrayCommand::Stop(args) => stop_array(args),
    };
    match done {
        Ok((text, refusal)) => {
            let written = io::stdout().write_all(text.as_bytes());
            if let Some(error) = refusal {
                return refused(&error);
            }
            match written {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    let _ = writeln!(io::stderr(), "outboard: standard output: {error}");
                    ExitCode::FAILURE
                }
                _ => ExitCode::SUCCESS,
            }
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &MdError) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {error}");
    match error {
        MdError::System { .. } => ExitCode::FAILURE,
        _ => ExitCode::from(2),
    }
}

/// What to print, and what to refuse after that.
type Done = Result<(String, Option<MdError>), MdError>;

fn create_array(args: &CreateArgs) -> Done {
    let spec = ArraySpec {
        level: args.level,
        chunk: args.chunk.unwrap_or(DEFAULT_CHUNK_BYTES),
        zone_layout: match args.layout {
            Layout::Original => ZoneLayout::Original,
            Layout::Alternate => ZoneLayout::Alternate,
        },
    };
    let name = match args.homehost.as_deref() {
        Some("none") => args.name.clone(),
        Some(host) => format!("{host}:{}", args.name),
        None => with_host(&args.name),
    };
    let options = CreateOptions {
        spec,
        rounding: args.chunk,
        name,
        uuid: args.uuid.map_or_else(random, Ok)?,
        now: now(),
        data_offset: args.data_offset.unwrap_or(DEFAULT_DATA_OFFSET),
    };
    let device_uuids: Vec<_> = args.members.iter().map(|_| random()).collect::<Result<_, _>>()?;
    let assembled = create_on(&options, &args.members, device_uuids, args.force)?;
    let text = match args.json {
        true => json(&assembled),
        false => format!("created {}\n", summary(&assembled)),
    };
    Ok((text, None))
}

/// What `examine --json` prints.
#[derive(Serialize)]
struct Examined {
    /// what each member says
    members: Vec<Report>,
    /// the array that they make
    array: Option<Assembled>,
    /// why they make none
    refused: Option<String>,
}

fn examine_members(args: &ExamineArgs) -> Done {
    let mut candidates = Vec::new();
    let mut refusal = None;
    for disk in &args.members {
        match Held::open(disk, Purpose::Examine).and_then(|held| held.candidate()) {
            Ok(candidate) => candidates.push(candidate),
            // The others' reports are of use still.
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    let members: Vec<_> = candidates.iter().map(Report::new).collect();
    let assembled = match refusal.is_none() {
        true => Some(assemble(&candidates, Order::Any)),
        false => None,
    };
    let (array, unfit) = match assembled {
        Some(Ok(array)) => (Some(array), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (None, refusal.as_ref().map(ToString::to_string)),
    };
    if args.json {
        return Ok((json(&Examined { members, array, refused: unfit }), refusal));
    }
    let mut text = String::new();
    for member in &members {
        text += &format!("{member}\n");
    }
    match (&array, &unfit) {
        (Some(array), _) => text += &format!("Array: {}\n", summary(array)),
        // Of one member alone nobody expects an array; the refusal of one that cannot be read
        // follows on standard error.
        (None, Some(unfit)) if refusal.is_none() && members.len() > 1 => {
            text += &format!("Array: cannot run: {unfit}\n");
        }
        _ => {}
    }
    Ok((text, refusal))
}

fn stop_array(args: &StopArgs) -> Done {
    let assembled = stop(&args.members, now())?;
    Ok((format!("stopped {}\n", summary(&assembled)), None))
}

/// `array UUID (NAME), level 0, 2 members, 52Mi, chunk 64Ki`
fn summary(array: &Assembled) -> String {
    let Assembled { uuid, name, spec, len_bytes, members, .. } = array;
    let (level, count) = (spec.level, members.len());
    let members = if count == 1 { "member" } else { "members" };
    let size = format_size(*len_bytes);
    let chunk = match level {
        Level::Linear => String::new(),
        _ => format!(", chunk {}", format_size(spec.chunk.into())),
    };
    format!("array {uuid} ({name}): level {level}, {count} {members}, {size}{chunk}")
}

fn json(value: &impl Serialize) -> String {
    // Plain data with text keys: it cannot fail.
    serde_json::to_string_pretty(value).map_or_else(|error| error.to_string(), |json| json + "\n")
}

fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "a size is a number of bytes, as 1Mi".to_owned())
}

fn chunk(text: &str) -> Result<u32, String> {
    parse_size(text)
        .and_then(|bytes| u32::try_from(bytes).ok())
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "a chunk is a size of at most 1Gi, as 64Ki".to_owned())
}

/// The name with this host's; alone if both do not fit.
fn with_host(name: &str) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_str().ok().filter(|host| !host.is_empty());
    match host.map(|host| format!("{host}:{name}")) {
        Some(full) if full.len() <= 32 => full,
        _ => name.to_owned(),
    }
}

fn random() -> Result<Uuid, MdError> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| MdError::System {
        member: "/dev/urandom".to_owned(),
        call: "read",
        source: rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO),
    })?;
    Ok(Uuid(bytes))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
