//! Both ends against each other: the initiator logs in, writes, reads and logs out, over the public
//! interface of the crate.

#![allow(clippy::unwrap_used, reason = "a failed step ends the test")]

#[path = "whole/node.rs"]
mod node;

use std::cell::RefCell;
use std::rc::Rc;

use node::{BLOCK, Node, Wire};
use outboard_iscsi::access::Initiators;
use outboard_iscsi::chap::{Credentials, Secret};
use outboard_iscsi::config::{Auth, Config, Offer, PortalGroup, Target};
use outboard_iscsi::initiator::task::{Command, lun};
use outboard_iscsi::initiator::{Client, ClientError, FailedLogin, Wishes};
use outboard_iscsi::pdu::{
    LogoutOutcome, LogoutReason, NO_TAG, Residual, Status, TaskFunction, TaskOutcome,
};
use proptest::prelude::*;

const INITIATOR: &str = "iqn.2026-11.org.example:host";
const TARGET: &str = "iqn.2026-11.org.example:disk";

fn config(offer: Offer, auth: Auth) -> Config {
    let target = Target {
        name: TARGET.to_owned(),
        alias: None,
        portal_group_tag: 1,
        auth,
        initiators: Initiators::All,
        redirect: None,
        available: true,
        offer,
    };
    let portals = vec![([0, 0, 0, 0], 3260).into()];
    Config {
        portal_groups: vec![PortalGroup { tag: 1, portals }],
        targets: vec![target],
        ..Config::default()
    }
}

fn node(offer: Offer) -> Rc<RefCell<Node>> {
    Node::new(config(offer, Auth::None), usize::MAX)
}

fn log_in(node: &Rc<RefCell<Node>>) -> Client<Wire> {
    Client::login(Wire::new(node), Wishes::normal(INITIATOR, TARGET)).unwrap()
}

fn cdb(opcode: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let mut cdb = [0; 10];
    cdb[0] = opcode;
    cdb[2..6].copy_from_slice(&lba.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

fn write(client: &mut Client<Wire>, lba: u32, data: &[u8]) {
    let blocks = (data.len() / BLOCK) as u16;
    let end = client.command(lun(0), &cdb(0x2a, lba, blocks), data, 0).unwrap();
    assert_eq!((end.status, end.residual), (0, Residual::None), "{end:?}");
}

fn read(client: &mut Client<Wire>, lba: u32, blocks: u16) -> Vec<u8> {
    let len = u32::from(blocks) * BLOCK as u32;
    let end = client.command(lun(0), &cdb(0x28, lba, blocks), &[], len).unwrap();
    assert_eq!((end.status, end.residual), (0, Residual::None), "{end:?}");
    end.data
}

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ seed).collect()
}

#[test]
fn a_session_with_mutual_chap_and_digests() {
    let secret = |text: &str| Secret::new(text).unwrap();
    let user = ("ann".to_owned(), secret("secret of ann"));
    let own = ("disk".to_owned(), secret("secret of the disk"));
    let chap = Credentials::new(vec![user.clone()], Some(own.clone()), &[]).unwrap();
    let node = Node::new(config(Offer::default(), Auth::Chap(chap)), 1000);
    let wishes = Wishes::normal(INITIATOR, TARGET)
        .with("HeaderDigest", "CRC32C")
        .with("DataDigest", "CRC32C,None");
    let wishes = Wishes { chap: Some(user), mutual: Some(own), ..wishes };
    let mut client = Client::login(Wire::new(&node), wishes).unwrap();
    assert!(client.parameters().header_digest && client.parameters().data_digest);
    let data = pattern(300 * BLOCK, 1);
    write(&mut client, 7, &data);
    assert_eq!(read(&mut client, 7, 300), data);
    assert_eq!(client.ping(b"still there?").unwrap(), b"still there?");
    let own = vec![(TARGET.to_owned(), vec!["192.0.2.1:3260,1".to_owned()])];
    assert_eq!(client.send_targets("").unwrap(), own);
    assert_eq!(client.logout(LogoutReason::CloseSession, 0).unwrap(), LogoutOutcome::Closed);
    assert!(matches!(client.ping(b""), Err(ClientError::Closed)));
    assert!(node.borrow().is_idle() && node.borrow().disk.open.is_empty());
}

#[test]
fn residuals_tell_what_was_not_moved() {
    let node = node(Offer::default());
    let mut client = log_in(&node);
    write(&mut client, 0, &pattern(2 * BLOCK, 9));
    let end = client.command(lun(0), &cdb(0x28, 0, 1), &[], 700).unwrap();
    assert_eq!((end.data.len(), end.residual), (512, Residual::Underflow(188)));
    let end = client.command(lun(0), &cdb(0x28, 0, 2), &[], 700).unwrap();
    assert_eq!((end.data.len(), end.residual), (700, Residual::Overflow(324)));
    let end = client.command(lun(0), &cdb(0x2a, 0, 1), &[7; 1024], 0).unwrap();
    assert_eq!((end.status, end.residual), (0, Residual::Underflow(512)));
    assert_eq!(read(&mut client, 0, 1), [7; 512]);
    assert!(node.borrow().is_idle());
}

#[test]
fn many_commands_and_management_functions() {
    let node = node(Offer::default());
    let mut client = log_in(&node);
    let data = pattern(8 * BLOCK, 3);
    let mut tags = Vec::new();
    for number in 0..200 {
        let cdb = cdb(0x2a, number * 8, 8);
        tags.push(client.submit(&Command::write(lun(0), &cdb, &data)).unwrap());
    }
    for tag in tags {
        assert_eq!(client.complete(tag).unwrap().status, 0);
    }
    assert_eq!(read(&mut client, 1592, 8), data);
    let outcome = client.manage(TaskFunction::LogicalUnitReset, lun(0), NO_TAG).unwrap();
    assert_eq!(outcome, TaskOutcome::Complete);
    let outcome = client.manage(TaskFunction::AbortTask, lun(0), 0x1234).unwrap();
    assert_eq!(outcome, TaskOutcome::TaskDoesNotExist);
    let outcome = client.manage(TaskFunction::TaskReassign, lun(0), NO_TAG).unwrap();
    assert_eq!(outcome, TaskOutcome::ReassignmentNotSupported);
}

#[test]
fn a_session_of_several_connections() {
    let node = node(Offer::default());
    let mut first = log_in(&node);
    let joining = Wishes::normal(INITIATOR, TARGET).joining(first.tsih(), 1);
    let mut second = Client::login(Wire::new(&node), joining).unwrap();
    let data = pattern(64 * BLOCK, 5);
    for turn in 0..10 {
        second.cmd_sn = first.cmd_sn;
        write(&mut second, turn, &data);
        first.cmd_sn = second.cmd_sn;
        assert_eq!(read(&mut first, turn, 64), data);
    }
    let stranger = Wishes::normal(INITIATOR, TARGET).joining(first.tsih() + 1, 1);
    let refused = Client::login(Wire::new(&node), stranger).err().unwrap();
    assert!(matches!(
        refused,
        ClientError::Login(FailedLogin::Refused { status: Status::NoSession, .. })
    ));
    assert_eq!(second.logout(LogoutReason::CloseConnection, 1).unwrap(), LogoutOutcome::Closed);
    assert_eq!(read(&mut first, 0, 64).len(), 64 * BLOCK);
    first.stream().cut();
    assert!(node.borrow().disk.open.is_empty(), "a lost connection ends the session");
}

#[test]
fn a_new_session_takes_the_place_of_the_old_one() {
    let node = node(Offer::default());
    let mut old = log_in(&node);
    let mut new = log_in(&node);
    assert_eq!(read(&mut new, 0, 1).len(), 512);
    assert!(matches!(old.ping(b""), Err(ClientError::Closed)));
    assert_eq!(node.borrow().disk.open.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What is written is read, whatever was negotiated and however the bytes come.
    #[test]
    fn any_keys_move_the_same_data(
        initial_r2t: bool,
        immediate_data: bool,
        first_burst in 512_u32..20_000,
        max_burst in 512_u32..40_000,
        receive in 512_u32..20_000,
        send in 512_u32..20_000,
        outstanding in 1_u16..5,
        digests: bool,
        step in 1_usize..5000,
        sizes in prop::collection::vec((0_u32..100, 1_u16..100), 1..6),
    ) {
        let offer = Offer {
            initial_r2t,
            immediate_data,
            first_burst_length: first_burst.min(max_burst),
            max_burst_length: max_burst,
            max_recv_data_segment_length: receive,
            max_outstanding_r2t: outstanding,
            ..Offer::default()
        };
        let node = Node::new(config(offer, Auth::None), step);
        let digest = if digests { "CRC32C" } else { "None" };
        let wishes = Wishes::normal(INITIATOR, TARGET)
            .with("MaxRecvDataSegmentLength", &send.to_string())
            .with("HeaderDigest", digest)
            .with("DataDigest", digest);
        let mut client = Client::login(Wire::new(&node), wishes).unwrap();
        for (seed, (lba, blocks)) in sizes.into_iter().enumerate() {
            let data = pattern(usize::from(blocks) * BLOCK, seed as u8);
            write(&mut client, lba, &data);
            prop_assert_eq!(read(&mut client, lba, blocks), data);
        }
        prop_assert!(node.borrow().is_idle());
    }
}
