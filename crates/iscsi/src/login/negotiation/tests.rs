use proptest::prelude::*;

use super::*;

fn answer(negotiation: &mut Negotiation, key: &str, value: &str) -> Option<String> {
    let mut text = Vec::new();
    negotiation.take(key, value, &mut text).unwrap();
    let pairs: Vec<_> = text::pairs(&text).map(Result::unwrap).collect();
    assert!(pairs.len() <= 1);
    pairs.first().map(|(name, value)| {
        assert_eq!(*name, key);
        (*value).to_owned()
    })
}

fn leading(offer: Offer) -> Negotiation {
    Negotiation::new(offer, false, true)
}

fn once(key: &str, value: &str) -> Option<String> {
    answer(&mut leading(Offer::default()), key, value)
}

/// Key, what the initiator offers, what the target answers: default offer.
const TABLE: &[(&str, &str, Option<&str>)] = &[
    ("HeaderDigest", "CRC32C,None", Some("CRC32C")),
    ("HeaderDigest", "None,CRC32C", Some("None")),
    ("DataDigest", "CRC32C", Some("CRC32C")),
    ("DataDigest", "X-Other,None", Some("None")),
    ("DataDigest", "X-Other", Some("Reject")),
    ("MaxConnections", "1", Some("1")),
    ("MaxConnections", "65535", Some("8")),
    ("MaxConnections", "0", Some("Reject")),
    ("MaxConnections", "65536", Some("Reject")),
    ("InitialR2T", "Yes", Some("Yes")),
    ("InitialR2T", "No", Some("No")),
    ("InitialR2T", "yes", Some("Reject")),
    ("ImmediateData", "Yes", Some("Yes")),
    ("ImmediateData", "No", Some("No")),
    ("MaxRecvDataSegmentLength", "512", None),
    ("MaxRecvDataSegmentLength", "16777215", None),
    ("MaxRecvDataSegmentLength", "511", Some("Reject")),
    ("MaxRecvDataSegmentLength", "16777216", Some("Reject")),
    ("MaxBurstLength", "512", Some("512")),
    ("MaxBurstLength", "0x1000", Some("4096")),
    ("MaxBurstLength", "16777215", Some("1048576")),
    ("MaxBurstLength", "511", Some("Reject")),
    ("FirstBurstLength", "65536", Some("65536")),
    ("FirstBurstLength", "16777215", Some("262144")),
    ("DefaultTime2Wait", "0", Some("0")),
    ("DefaultTime2Wait", "3600", Some("3600")),
    ("DefaultTime2Wait", "3601", Some("Reject")),
    ("DefaultTime2Retain", "20", Some("0")),
    ("MaxOutstandingR2T", "1", Some("1")),
    ("MaxOutstandingR2T", "100", Some("4")),
    ("MaxOutstandingR2T", "0", Some("Reject")),
    ("DataPDUInOrder", "No", Some("Yes")),
    ("DataSequenceInOrder", "No", Some("Yes")),
    ("ErrorRecoveryLevel", "2", Some("0")),
    ("ErrorRecoveryLevel", "3", Some("Reject")),
    ("iSCSIProtocolLevel", "2", Some("1")),
    ("iSCSIProtocolLevel", "0", Some("0")),
    ("TaskReporting", "RFC3720,FastAbort", Some("RFC3720")),
    ("TaskReporting", "FastAbort", Some("Reject")),
    ("X#NodeArchitecture", "any", None),
    ("IFMarker", "No", Some("No")),
    ("OFMarker", "Yes", Some("No")),
    ("IFMarkInt", "2048~8192", Some("Reject")),
    ("RDMAExtensions", "Yes", Some("NotUnderstood")),
    ("X-org.example.key", "1", Some("NotUnderstood")),
    ("TargetAlias", "mine", Some("Reject")),
];

#[test]
fn the_table_of_clause_13() {
    for (key, offered, expected) in TABLE {
        assert_eq!(once(key, offered).as_deref(), *expected, "{key}={offered}");
    }
}

#[test]
fn a_rejected_value_leaves_the_default() {
    let mut negotiation = leading(Offer::default());
    answer(&mut negotiation, "MaxBurstLength", "12");
    answer(&mut negotiation, "MaxOutstandingR2T", "x");
    assert_eq!(negotiation.parameters(), Parameters::default());
}

#[test]
fn a_first_burst_is_part_of_a_burst() {
    let mut negotiation = leading(Offer::default());
    assert_eq!(answer(&mut negotiation, "MaxBurstLength", "4096"), Some("4096".to_owned()));
    assert_eq!(negotiation.parameters().first_burst_length, 4096);
    assert_eq!(answer(&mut negotiation, "FirstBurstLength", "8192"), Some("4096".to_owned()));
}

#[test]
fn what_has_no_meaning_is_irrelevant() {
    let irrelevant = Some(IRRELEVANT.to_owned());
    let mut discovery = Negotiation::new(Offer::default(), true, true);
    let mut following = Negotiation::new(Offer::default(), false, false);
    for key in ["MaxConnections", "InitialR2T", "MaxBurstLength", "DataPDUInOrder"] {
        assert_eq!(answer(&mut discovery, key, "1"), irrelevant);
        assert_eq!(answer(&mut following, key, "1"), irrelevant);
    }
    assert_eq!(answer(&mut discovery, "ErrorRecoveryLevel", "2"), Some("0".to_owned()));
    assert_eq!(answer(&mut following, "ErrorRecoveryLevel", "2"), irrelevant);
    assert_eq!(answer(&mut following, "DataDigest", "CRC32C"), Some("CRC32C".to_owned()));
    assert_eq!(answer(&mut discovery, "DataDigest", "CRC32C,None"), Some("None".to_owned()));
    assert_eq!(answer(&mut discovery, "HeaderDigest", "CRC32C"), Some("Reject".to_owned()));
    let mut text = Vec::new();
    assert_eq!(discovery.demand(&mut text), Ok(false));
    assert_eq!(following.demand(&mut text), Ok(false));
}

#[test]
fn demands_are_answered_or_the_login_ends() {
    let offer = Offer { max_burst_length: 8192, first_burst_length: 4096, ..Offer::default() };
    let mut negotiation = leading(offer);
    let mut text = Vec::new();
    assert!(!negotiation.is_settled());
    assert_eq!(negotiation.demand(&mut text), Ok(true));
    assert_eq!(text, b"MaxBurstLength=8192\0FirstBurstLength=4096\0");
    assert_eq!(negotiation.clone().demand(&mut text), Err(NegotiationError::NotAnswered));
    for wrong in ["8193", "511", "Reject", "NotUnderstood", ""] {
        let taken = negotiation.clone().take("MaxBurstLength", wrong, &mut text);
        assert_eq!(taken, Err(NegotiationError::NotAccepted("MaxBurstLength")), "{wrong}");
    }
    assert_eq!(answer(&mut negotiation, "MaxBurstLength", "4096"), None);
    assert!(!negotiation.is_settled());
    assert_eq!(answer(&mut negotiation, "FirstBurstLength", "512"), None);
    assert!(negotiation.is_settled());
    assert_eq!(negotiation.demand(&mut text), Ok(false));
    let parameters = negotiation.parameters();
    assert_eq!((parameters.max_burst_length, parameters.first_burst_length), (4096, 512));
    assert_eq!(
        negotiation.take("MaxBurstLength", "4096", &mut text),
        Err(NegotiationError::Repeated("MaxBurstLength"))
    );
}

proptest! {
    /// The result functions of RFC 7143 13, each for any two values.
    #[test]
    fn results_are_those_of_both_values(
        theirs in 512_u32..1 << 24,
        ours in 512_u32..1 << 24,
        short in 1_u16..,
        own_short in 1_u16..,
        yes: bool,
        own_yes: bool,
        wait in 0_u16..=3600,
        own_wait in 0_u16..=3600,
    ) {
        let mut negotiation = leading(Offer {
            max_recv_data_segment_length: ours,
            max_burst_length: ours,
            first_burst_length: ours,
            initial_r2t: own_yes,
            immediate_data: own_yes,
            max_outstanding_r2t: own_short,
            max_connections: own_short,
            default_time2wait: own_wait,
            default_time2retain: own_wait,
            ..Offer::default()
        });
        let mut put = |key: &str, value: String| answer(&mut negotiation, key, &value);
        let say = |yes: bool| value::from_boolean(yes).to_owned();
        let least = theirs.min(ours);
        let few = short.min(own_short);
        prop_assert_eq!(put("InitialR2T", say(yes)), Some(say(yes || own_yes)));
        prop_assert_eq!(put("ImmediateData", say(yes)), Some(say(yes && own_yes)));
        prop_assert_eq!(put("MaxBurstLength", theirs.to_string()), Some(least.to_string()));
        prop_assert_eq!(put("FirstBurstLength", theirs.to_string()), Some(least.to_string()));
        prop_assert_eq!(put("MaxOutstandingR2T", short.to_string()), Some(few.to_string()));
        prop_assert_eq!(put("MaxConnections", short.to_string()), Some(few.to_string()));
        prop_assert_eq!(
            put("DefaultTime2Wait", wait.to_string()),
            Some(wait.max(own_wait).to_string())
        );
        prop_assert_eq!(
            put("DefaultTime2Retain", wait.to_string()),
            Some(wait.min(own_wait).to_string())
        );
        prop_assert_eq!(put("MaxRecvDataSegmentLength", theirs.to_string()), None);
        let mut text = Vec::new();
        negotiation.declare(&mut text);
        negotiation.declare(&mut text);
        prop_assert_eq!(text, format!("MaxRecvDataSegmentLength={ours}\0").into_bytes());
        prop_assert!(negotiation.is_settled());
        let expected = Parameters {
            max_connections: few,
            initial_r2t: yes || own_yes,
            immediate_data: yes && own_yes,
            initiator_max_recv_data_segment_length: theirs,
            target_max_recv_data_segment_length: ours,
            max_burst_length: least,
            first_burst_length: least,
            default_time2wait: wait.max(own_wait),
            default_time2retain: wait.min(own_wait),
            max_outstanding_r2t: few,
            ..Parameters::default()
        };
        prop_assert_eq!(negotiation.parameters(), expected);
    }

    #[test]
    fn any_pairs_keep_results_in_bounds(
        list in prop::collection::vec((0..Key::ALL.len(), "[ -~]{0,12}|[0-9]{1,9}|Yes|No"), 0..40)
    ) {
        let mut negotiation = leading(Offer::default());
        let mut text = Vec::new();
        for (key, value) in &list {
            if negotiation.take(Key::ALL[*key].name(), value, &mut text).is_err() {
                break;
            }
        }
        let result = negotiation.parameters();
        prop_assert!(result.first_burst_length <= result.max_burst_length);
        prop_assert!((512..1 << 24).contains(&result.max_burst_length));
        prop_assert!((512..1 << 24).contains(&result.initiator_max_recv_data_segment_length));
        prop_assert!(result.data_pdu_in_order && result.data_sequence_in_order);
        prop_assert_eq!(result.error_recovery_level, 0);
        prop_assert!(result.max_outstanding_r2t >= 1 && result.max_connections >= 1);
    }
}
