//! Single edits of the drivers in other handwritings: found there too, and nothing else.

mod common;

use common::{ids, lint, shown};

/// What, from, to, the rule.
type Edit = (&'static str, &'static str, &'static str, &'static str);

const EDITS: &[Edit] = &[
    (
        "action parked without a reference",
        "    completion->retain();\n    slot->action",
        "    slot->action",
        "DK406",
    ),
    (
        "version lost in the mass failure",
        "        response.version = kScsiUserParallelTaskResponseCurrentVersion1;\n",
        "",
        "DK401",
    ),
    (
        "target lost in the mass failure",
        "        response.fTargetID = p.task.fTargetID;\n",
        "",
        "DK403",
    ),
    (
        "identifier lost in the maker",
        "    r.fControllerTaskIdentifier = task.fControllerTaskIdentifier;\n    return r;",
        "    return r;",
        "DK402",
    ),
    (
        "service response lost",
        "        response.fServiceResponse = kSCSIServiceResponse_SERVICE_DELIVERY_OR_TARGET_FAILURE;\n        actions[n]",
        "        actions[n]",
        "DK410",
    ),
    (
        "statuses mixed in the grading helper",
        "        r.fCompletionStatus = kSCSITaskStatus_No_Status;",
        "        r.fCompletionStatus = kSCSITaskStatus_GOOD;",
        "DK410",
    ),
    (
        "completion under the lock",
        "        p.action = nullptr;\n        p.phase = p.phase",
        "        ParallelTaskCompletion(p.action, response);\n        p.action = nullptr;\n        p.phase = p.phase",
        "DK208",
    ),
    (
        "target created by the caller",
        "    ivars->edgeQueue->DispatchAsync(^{\n        OSDictionary* d",
        "    ivars->auxQueue->DispatchAsync(^{\n        OSDictionary* d",
        "DK202",
    ),
    (
        "auxiliary queue not in the table",
        "        { \"AuxiliaryQueue\",  &ivars->auxQueue,   true  },\n",
        "",
        "DK105",
    ),
    (
        "stop waits for the edges",
        "    FailAll(\"stopping\");\n",
        "    ivars->edgeQueue->DispatchSync(^{ FailAll(\"stopping\"); });\n",
        "DK203",
    ),
    (
        "task method waits for the daemon",
        "    *response = kSCSIServiceResponse_Request_In_Process;\n    return kIOReturnSuccess;\n}\n\nkern_return_t IMPL(SoftHBA, UserMapHBAData)",
        "    IOSleep(5);\n    *response = kSCSIServiceResponse_Request_In_Process;\n    return kIOReturnSuccess;\n}\n\nkern_return_t IMPL(SoftHBA, UserMapHBAData)",
        "DK207",
    ),
    (
        "completed twice in the short way",
        "        ParallelTaskCompletion(completion, r);\n",
        "        ParallelTaskCompletion(completion, r);\n        if (data) { ParallelTaskCompletion(completion, r); }\n",
        "DK407",
    ),
    ("identifiers from 0", "++ivars->lastTaskID", "ivars->lastTaskID++", "DK404"),
    (
        "constraint lost from the table",
        "        { kIOMinimumHBADataAlignmentMaskKey,       0xFFFFFFFFFFFFFFFCULL },\n",
        "",
        "DK502",
    ),
    (
        "segments beyond the transfer",
        "{ kIOMaximumSegmentCountReadKey,           1 }",
        "{ kIOMaximumSegmentCountReadKey,           32 }",
        "DK503",
    ),
    ("highest id by a macro", "*id = kBusHighest;", "*id = kBusTarget;", "DK506"),
    ("a management method by macro lost", "TMF(UserTargetResetRequest)\n", "", ""),
];

#[test]
fn edits_of_the_other_driver_are_found() {
    let mut failed = Vec::new();
    for (what, from, to, rule) in EDITS {
        let text = include_str!("../fixtures/habits/SoftHBA.cpp");
        assert_eq!(text.matches(from).count(), 1, "`{what}` does not name one place");
        let files = vec![
            ("SoftHBA.iig".to_owned(), include_str!("../fixtures/habits/SoftHBA.iig").to_owned()),
            ("SoftHBA.cpp".to_owned(), text.replace(from, to)),
        ];
        let outcome = lint(&files);
        let mut found = ids(&outcome);
        found.dedup();
        let wanted: Vec<&str> = [*rule].into_iter().filter(|r| !r.is_empty()).collect();
        if found != wanted {
            failed.push(format!("{what}: wanted {rule}, got {found:?}\n{}", shown(&outcome)));
        }
    }
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}
