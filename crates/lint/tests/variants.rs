//! The clean example in the handwriting of others: whatever the formatting, helper layer, macro or file layout, 0 findings.
#![allow(
    clippy::expect_used,
    clippy::semicolon_if_nothing_returned,
    reason = "a test fails by panicking, and the table of variants reads better"
)]

mod common;

use common::{example, lint, shown};

type Files = Vec<(String, String)>;
type Variant = (&'static str, fn(&mut Files));

const VARIANTS: &[Variant] = &[
    ("no comments", |f| code(f, strip_comments)),
    ("comments after every statement", |f| {
        code(f, |t| t.replace(";\n", "; /* so; { it ( is */\n"))
    }),
    ("documentation comments and pragma marks", |f| code(f, headerdoc)),
    ("tabs and carriage returns", |f| code(f, |t| t.replace("    ", "\t").replace('\n', "\r\n"))),
    ("braces on the line", |f| code(f, |t| t.replace(")\n{", ") {").replace("\n{", " {"))),
    ("one space everywhere", |f| code(f, squeeze)),
    ("a line break after every comma", |f| {
        code(f, |t| {
            let broken = |l: &str| {
                if l.starts_with('#') {
                    format!("{l}\n")
                } else {
                    format!("{}\n", l.replace(", ", ",\n        "))
                }
            };
            strip_comments(t).lines().map(broken).collect()
        })
    }),
    ("spaces inside parentheses", |f| cpp(f, |t| t.replace('(', "( ").replace(')', " )"))),
    ("return type on the line of IMPL", |f| {
        cpp(f, |t| {
            t.replace("kern_return_t\nIMPL", "kern_return_t IMPL")
                .replace("void\nIMPL", "void IMPL")
        })
    }),
    ("IMPL with odd spaces", |f| {
        cpp(f, |t| t.replace("IMPL(StripeController, ", "IMPL (  StripeController\n    ,\t"))
    }),
    ("IMPL without a space", |f| {
        cpp(f, |t| t.replace("IMPL(StripeController, ", "IMPL(StripeController,"))
    }),
    ("methods as Class::Method_Impl", |f| cpp(f, to_impl_suffix)),
    ("methods as IMPL with parameters", |f| cpp(f, to_impl_params)),
    ("unnamed parameters in the interface", |f| {
        edit(
            f,
            "StripeController.iig",
            &[
                ("uint32_t powerFlags", "uint32_t"),
                ("OSAction * completion)", "OSAction *)"),
                ("uint64_t * id)", "uint64_t *)"),
            ],
        )
    }),
    ("class in a plain header", |f| rename(f, "StripeController.iig", "StripeController.h")),
    ("all code in one file", one_file),
    ("one file for each method", one_file_each),
    ("files in the reverse order", |f| f.reverse()),
    ("files in folders", |f| {
        for (name, _) in f.iter_mut() {
            *name = format!("Sources/Driver/{name}");
        }
    }),
    ("this-> before every member", |f| cpp(f, |t| t.replace("ivars->", "this->ivars->"))),
    ("lock macros", |f| {
        cpp(f, |t| {
            t.replace("IOLockLock(ivars->lock);", "LOCK_STATE();")
                .replace("IOLockUnlock(ivars->lock);", "UNLOCK_STATE();")
        });
        edit(
            f,
            "StripeAdapter.h",
            &[(
                "enum StripeStatus",
                "#define LOCK_STATE() IOLockLock(ivars->lock)\n#define UNLOCK_STATE() \\\n    IOLockUnlock(ivars->lock)\n\nenum StripeStatus",
            )],
        );
    }),
    ("lock guard in a scope", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[
                (
                    "    IOLockLock(ivars->lock);\n    OSAction * action = ivars->bundleAction;\n",
                    "    OSAction * action = nullptr;\n    {\n    LockGuard guard(ivars->lock);\n    action = ivars->bundleAction;\n",
                ),
                ("    IOLockUnlock(ivars->lock);\n\n    // The call", "    }\n\n    // The call"),
            ],
        )
    }),
    ("log macro without a semicolon", |f| {
        cpp(f, |t| {
            t.replace("StripeLog(\"target 0: 0x%x\", ret);", "STRIPE_LOG(\"target 0: 0x%x\", ret)")
                .replace(
                    "StripeLog(\"power %u\", powerFlags);",
                    "STRIPE_LOG(\"power %u\", powerFlags)",
                )
        })
    }),
    ("log macro in a do-while", |f| {
        edit(
            f,
            "StripeAdapter.h",
            &[(
                "#define StripeLog(fmt, ...) os_log(OS_LOG_DEFAULT, \"Stripe: \" fmt, ##__VA_ARGS__)",
                "#define StripeLog(fmt, ...)                              \\\n    do {                                                 \\\n        os_log(OS_LOG_DEFAULT, \"Stripe: \" fmt, ##__VA_ARGS__); \\\n    } while (0)",
            )],
        )
    }),
    ("queue helper function", queue_helper),
    ("queue helper method with nested helper", queue_helper_twice),
    ("queue macro", queue_macro),
    ("queue names as constants", |f| {
        cpp(f, |t| {
            t.replace("\"AuxiliaryQueue\"", "kAuxiliaryName")
                .replace("\"InterruptQueue\"", "kInterruptName")
        });
        edit(
            f,
            "StripeAdapter.h",
            &[(
                "// Identifiers on the bus.",
                "#define kAuxiliaryName \"AuxiliaryQueue\"\nstatic constexpr const char * kInterruptName = \"InterruptQueue\";",
            )],
        );
    }),
    ("queue through a local", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[
                (
                    "    kern_return_t ret = IODispatchQueue::Create(\"AuxiliaryQueue\", 0, 0, &ivars->auxiliaryQueue);",
                    "    IODispatchQueue * queue = nullptr;\n    kern_return_t ret = IODispatchQueue::Create(\"AuxiliaryQueue\", 0, 0, &queue);\n    ivars->auxiliaryQueue = queue;",
                ),
                (
                    "SetDispatchQueue(\"AuxiliaryQueue\", ivars->auxiliaryQueue)",
                    "SetDispatchQueue(\"AuxiliaryQueue\", queue)",
                ),
            ],
        )
    }),
    ("queues from a table", queue_table),
    ("errors by goto", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[
                (
                    "    ret = SetDispatchQueue(\"AuxiliaryQueue\", ivars->auxiliaryQueue);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n",
                    "    ret = SetDispatchQueue(\"AuxiliaryQueue\", ivars->auxiliaryQueue);\n    if (ret != kIOReturnSuccess)\n        goto fail;\n",
                ),
                (
                    "    return IODispatchQueue::Create(\"StripeTargets\", 0, 0, &ivars->targetQueue);",
                    "    ret = IODispatchQueue::Create(\"StripeTargets\", 0, 0, &ivars->targetQueue);\nfail:\n    return ret;",
                ),
            ],
        )
    }),
    ("errors by a check macro", |f| {
        cpp(f, |t| {
            t.replace(
                "    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n",
                "    REQUIRE_OK(ret);\n",
            )
        });
        edit(
            f,
            "StripeAdapter.h",
            &[(
                "enum StripeStatus",
                "#define REQUIRE_OK(x) do { if ((x) != kIOReturnSuccess) { return (x); } } while (0)\n\nenum StripeStatus",
            )],
        );
    }),
    ("constraints from a table", constraint_table),
    ("constraints by a free function", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[
                (
                    "    auto set = [&](const char * key, uint64_t value) {\n        OSNumber * number = OSNumber::withNumber(value, 64);\n        ok = ok && number != nullptr && constraints->setObject(key, number);\n        OSSafeReleaseNULL(number);\n    };\n",
                    "",
                ),
                ("    set(kIO", "    ok &= SetConstraint(constraints, kIO"),
                (
                    "kern_return_t\nStripeController::ReportConstraints()",
                    "static bool SetConstraint(OSDictionary * dict, const char * key, uint64_t value, uint32_t bits = 64)\n{\n    OSNumber * number = OSNumber::withNumber(value, bits);\n    if (number == nullptr) return false;\n    bool ok = dict->setObject(key, number);\n    number->release();\n    return ok;\n}\n\nkern_return_t\nStripeController::ReportConstraints()",
                ),
            ],
        )
    }),
    ("constraints by hand", |f| {
        cpp(f, |t| {
            t.replace("    set(kIO", "    constraints->setObject(kIO")
                .replace(", kSegmentCount);", ", OSNumber::withNumber(kSegmentCount, 64));")
                .replace(", kSegmentBytes);", ", OSNumber::withNumber(kSegmentBytes, 64));")
        })
    }),
    ("constraint keys as text", |f| {
        cpp(f, |t| {
            t.replace("kIOMinimumHBADataAlignmentMaskKey", "\"HBA Data Alignment\"")
                .replace("kIOMaximumSegmentCountReadKey", "\"IOMaximumSegmentCountRead\"")
        })
    }),
    ("limits as macros", |f| {
        edit(
            f,
            "StripeAdapter.h",
            &[
                ("static constexpr uint32_t kMaxTasks = 128;", "#define kMaxTasks (128u)"),
                (
                    "static constexpr uint64_t kSegmentCount = 32;",
                    "#define kSegmentCount 0x20ULL // two to the fifth",
                ),
                (
                    "static constexpr uint64_t kMaxTransfer = kSegmentCount * kSegmentBytes;",
                    "#define kMaxTransfer ((uint64_t)kSegmentCount * kSegmentBytes)",
                ),
            ],
        )
    }),
    ("limits as an enumeration", |f| {
        edit(
            f,
            "StripeAdapter.h",
            &[(
                "static constexpr uint64_t kHighestTarget = 63;\nstatic constexpr uint64_t kInitiator = 60;",
                "enum : uint64_t { kFirstTarget, kSecondTarget, kInitiator = 60, kSpare, kSpare2, kHighestTarget };",
            )],
        )
    }),
    ("debug code", |f| {
        cpp(f, |t| {
            t.replace("    command.tag = slot;\n", "    command.tag = slot;\n#if DEBUG\n    StripeLog(\"slot %u\", slot);\n#endif\n").replace("    ivars->interrupt->SetEnable(true);\n", "#ifdef POLLED\n    ivars->doneIndex = 0;\n#else\n    ivars->interrupt->SetEnable(true);\n#endif\n")
        })
    }),
    ("alternatives of a whole completion", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[(
                "        BundledParallelTaskCompletion(action, finished, count);\n",
                "#if TRACE_COMPLETIONS\n        StripeLog(\"completing %u\", count);\n        BundledParallelTaskCompletion(action, finished, count);\n#else\n        BundledParallelTaskCompletion(action, finished, count);\n#endif\n",
            )],
        )
    }),
    ("a condition cut by the preprocessor", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[(
                "    if (count > 0 && action != nullptr) {\n",
                "#if CAREFUL\n    if (count > 0 && action != nullptr && !ivars->stopping) {\n#else\n    if (count > 0 && action != nullptr) {\n#endif\n",
            )],
        )
    }),
    ("a head cut by the preprocessor", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[(
                "void\nStripeController::PublishTargets()\n{",
                "#if NEW_STYLE\nvoid StripeController::PublishTargets() {\n#else\nvoid\nStripeController::PublishTargets()\n{\n#endif",
            )],
        )
    }),
    ("dead code that is no C++", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[(
                "// ---------------------------------------------------------------- start-up",
                "#if 0\nthis is { not C++ ( at all \" and UserCreateTargetForID(0, 0)\n#endif\n",
            )],
        )
    }),
    ("a method for another build", |f| {
        edit(
            f,
            "StripeController.iig",
            &[(
                "    virtual void CompleteFinished() LOCALONLY;\n",
                "    virtual void CompleteFinished() LOCALONLY;\n#if STRIPE_TEST\n    virtual void InjectFault(uint32_t kind) LOCALONLY;\n#endif\n",
            )],
        )
    }),
    ("helpers in a namespace", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[
                (
                    "// Called once for every task",
                    "namespace stripe {\nnamespace {\ninline uint32_t After(uint32_t index) { return (index + 1) % kMaxTasks; }\n}  // namespace\n}  // namespace stripe\n\n// Called once for every task",
                ),
                ("(ivars->doneIndex + 1) % kMaxTasks", "stripe::After(ivars->doneIndex)"),
            ],
        )
    }),
    ("response filled in a local, then copied", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[
                (
                    "    SCSIUserParallelResponse * response = &ivars->responses[slot];\n",
                    "    SCSIUserParallelResponse local = {};\n    SCSIUserParallelResponse * response = &local;\n",
                ),
                (
                    "            response->fCompletionStatus = kSCSITaskStatus_DeliveryFailure;\n            break;\n    }\n",
                    "            response->fCompletionStatus = kSCSITaskStatus_DeliveryFailure;\n            break;\n    }\n    ivars->responses[slot] = local;\n",
                ),
            ],
        )
    }),
    ("response filled by a helper", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[
                (
                    "    response->version = kScsiUserParallelTaskResponseCurrentVersion1;\n    response->fTargetID = task->fTargetID;\n    response->fControllerTaskIdentifier = task->fControllerTaskIdentifier;\n",
                    "    CopyIdentity(*task, response);\n",
                ),
                (
                    "// Writes the answer of one command",
                    "static void CopyIdentity(const SCSIUserParallelTask & task, SCSIUserParallelResponse * out)\n{\n    out->version = kScsiUserParallelTaskResponseCurrentVersion1;\n    out->fTargetID = task.fTargetID;\n    out->fControllerTaskIdentifier = task.fControllerTaskIdentifier;\n}\n\n// Writes the answer of one command",
                ),
            ],
        )
    }),
    ("response as a designated initialiser", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[(
                "    response->version = kScsiUserParallelTaskResponseCurrentVersion1;\n    response->fTargetID = task->fTargetID;\n    response->fControllerTaskIdentifier = task->fControllerTaskIdentifier;\n",
                "    *response = SCSIUserParallelResponse {\n        .version = kScsiUserParallelTaskResponseCurrentVersion1,\n        .fTargetID = task->fTargetID,\n        .fControllerTaskIdentifier = task->fControllerTaskIdentifier,\n    };\n",
            )],
        )
    }),
    ("slots through accessors", |f| {
        cpp(f, |t| {
            t.replace("&ivars->commands[slot]", "Command(ivars, slot)")
                .replace("&ivars->responses[slot]", "Response(ivars, slot)")
        });
        edit(
            f,
            "StripeAdapter.h",
            &[(
                "#endif /* StripeAdapter_h */",
                "static inline SCSIUserParallelTask * Command(StripeController_IVars * v, uint16_t slot) { return v->commands + slot; }\nstatic inline SCSIUserParallelResponse * Response(StripeController_IVars * v, uint16_t slot) { return v->responses + slot; }\n\n#endif",
            )],
        );
    }),
    ("slots by pointer arithmetic", |f| {
        cpp(f, |t| {
            t.replace("&ivars->commands[slot]", "ivars->commands + slot")
                .replace("&ivars->responses[slot]", "(ivars->responses) + (slot)")
        })
    }),
    ("old casts and operators", |f| {
        cpp(f, |t| {
            t.replace(
                "reinterpret_cast<SCSIUserParallelTask *>(ivars->commandMap->GetAddress())",
                "(SCSIUserParallelTask *)(uintptr_t)ivars->commandMap->GetAddress()",
            )
            .replace("response->fSenseLength = 0;", "(*response).fSenseLength = 0;")
            .replace("response->version =", "(*response).version =")
        })
    }),
    ("compiler annotations", |f| {
        code(f, |t| {
            t.replace("OSAction * action TARGET", "OSAction * _Nonnull action TARGET")
                .replace("bool ok = true;", "__unused bool ok = true;")
                .replace("static bool", "[[maybe_unused]] static bool")
                .replace(
                    "struct StripeCommand {",
                    "struct __attribute__((packed, aligned(8))) StripeCommand {",
                )
        })
    }),
    ("other alphabets in comments and strings", |f| {
        code(f, |t| {
            format!(
                "// Контроллер для RAID — 控制器 🚀\n{}",
                t.replace("\"Stripe: \"", "\"Полоса 🚀: \"")
            )
        })
    }),
    ("raw strings and odd literals", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[(
                "// Called once for every task",
                "static const char * kBanner = R\"x(a \" ) quote { and ( )x\";\nstatic const uint64_t kBig = 1'000'000ull;\nstatic const char kBrace = '{';\n\n// Called once for every task",
            )],
        )
    }),
    ("queues in a helper class", helper_class),
    ("success nested instead of early returns", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[(
                "    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ret = parallelResponseIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->responseMap);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ivars->commands = reinterpret_cast<SCSIUserParallelTask *>(ivars->commandMap->GetAddress());\n    ivars->responses = reinterpret_cast<SCSIUserParallelResponse *>(ivars->responseMap->GetAddress());\n    return kIOReturnSuccess;\n",
                "    if (ret == kIOReturnSuccess) {\n        ret = parallelResponseIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->responseMap);\n        if (ret == kIOReturnSuccess) {\n            ivars->commands = reinterpret_cast<SCSIUserParallelTask *>(ivars->commandMap->GetAddress());\n            ivars->responses = reinterpret_cast<SCSIUserParallelResponse *>(ivars->responseMap->GetAddress());\n        }\n    }\n    return ret;\n",
            )],
        )
    }),
    ("mapping through a helper", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[
                (
                    "    kern_return_t ret = parallelCommandIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->commandMap);\n",
                    "    kern_return_t ret = MapAll(parallelCommandIOMemoryDescriptor, &ivars->commandMap);\n",
                ),
                (
                    "    ret = parallelResponseIOMemoryDescriptor->CreateMapping(0, 0, 0, 0, 0, &ivars->responseMap);\n",
                    "    ret = MapAll(parallelResponseIOMemoryDescriptor, &ivars->responseMap);\n",
                ),
                (
                    "// Success here means",
                    "static kern_return_t MapAll(IOMemoryDescriptor * memory, IOMemoryMap ** map)\n{\n    return memory->CreateMapping(0, 0, 0, 0, 0, map);\n}\n\n// Success here means",
                ),
            ],
        )
    }),
    ("the block in a variable", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[(
                "    ivars->targetQueue->DispatchAsync(^{\n        PublishTargets();\n        release();\n    });",
                "    auto publish = ^{\n        PublishTargets();\n        release();\n    };\n    ivars->targetQueue->DispatchAsync(publish);",
            )],
        )
    }),
    ("a block with a return type", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[("DispatchAsync(^{\n", "DispatchAsync(^ void (void) {\n")],
        )
    }),
    ("nested blocks", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[(
                "    ivars->targetQueue->DispatchAsync(^{\n        PublishTargets();\n        release();\n    });",
                "    ivars->targetQueue->DispatchAsync(^{\n        ivars->targetQueue->DispatchAsync(^{ PublishTargets(); release(); });\n    });",
            )],
        )
    }),
    ("the action in a reference-counted pointer", |f| {
        edit(
            f,
            "StripeAdapter.h",
            &[("    OSAction * bundleAction;", "    OSSharedPtr<OSAction> bundleAction;")],
        );
        edit(
            f,
            "StripeTasks.cpp",
            &[
                (
                    "        completion->retain();\n        ivars->bundleAction = completion;\n",
                    "        ivars->bundleAction = OSSharedPtr<OSAction>(completion, OSRetain);\n",
                ),
                (
                    "OSAction * action = ivars->bundleAction;",
                    "OSAction * action = ivars->bundleAction.get();",
                ),
            ],
        );
    }),
    ("identifiers by atomic addition", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[(
                "*uniqueTaskID = ++ivars->nextTaskID;",
                "*uniqueTaskID = __atomic_fetch_add(&ivars->nextTaskID, 1, __ATOMIC_RELAXED) + 1;",
            )],
        )
    }),
    ("identifiers from a counter that starts at 1", |f| {
        edit(
            f,
            "StripeTasks.cpp",
            &[(
                "*uniqueTaskID = ++ivars->nextTaskID;",
                "uint32_t mine = ivars->nextTaskID++;\n    *uniqueTaskID = mine;",
            )],
        );
        edit(
            f,
            "StripeController.cpp",
            &[(
                "    ivars->lock = IOLockAlloc();\n",
                "    ivars->lock = IOLockAlloc();\n    ivars->nextTaskID = 1;\n",
            )],
        );
    }),
    ("the kernel makes the targets", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[
                (
                    "    kern_return_t ret = UserCreateTargetForID(0, properties);\n    OSSafeReleaseNULL(properties);\n    StripeLog(\"target 0: 0x%x\", ret);\n",
                    "    UserSetHBAProperties(properties);\n    OSSafeReleaseNULL(properties);\n",
                ),
                (
                    "IMPL(StripeController, UserDoesHBAPerformDeviceManagement)\n{\n    *result = true;",
                    "IMPL(StripeController, UserDoesHBAPerformDeviceManagement)\n{\n    *result = false;",
                ),
            ],
        )
    }),
    ("power change acknowledged later", |f| {
        edit(
            f,
            "StripeController.cpp",
            &[(
                "    return SetPowerState(powerFlags, SUPERDISPATCH);",
                "    retain();\n    ivars->targetQueue->DispatchAsync(^{\n        IOSleep(200);\n        SetPowerState(powerFlags, SUPERDISPATCH);\n        release();\n    });\n    return kIOReturnSuccess;",
            )],
        )
    }),
    ("personality for a user client beside", |f| {
        edit(
            f,
            "Info.plist",
            &[(
                "\t\t<key>Stripe</key>",
                "\t\t<key>Panel</key>\n\t\t<dict>\n\t\t\t<key>IOClass</key>\n\t\t\t<string>IOUserService</string>\n\t\t\t<key>IOUserClass</key>\n\t\t\t<string>StripePanel</string>\n\t\t</dict>\n\t\t<key>Stripe</key>",
            )],
        )
    }),
    ("host application's files beside", |f| {
        f.push(("App/App.entitlements".to_owned(), "<plist version=\"1.0\"><dict><key>com.apple.developer.system-extension.install</key><true/></dict></plist>".to_owned()));
        f.push(("App/Info.plist".to_owned(), "<plist version=\"1.0\"><dict><key>CFBundleName</key><string>App</string></dict></plist>".to_owned()));
    }),
    ("a user client class beside", |f| {
        f.push(("StripePanel.iig".to_owned(), "class StripePanel : public IOUserClient\n{\npublic:\n    virtual kern_return_t Start(IOService * provider) override;\n    virtual kern_return_t ExternalMethod(uint64_t selector, IOUserClientMethodArguments * arguments,\n        const IOUserClientMethodDispatch * dispatch, OSObject * target, void * reference) override LOCALONLY;\n    virtual kern_return_t Poll() QUEUENAME(PanelQueue);\n};\n".to_owned()))
    }),
];

#[test]
fn every_variant_is_clean() {
    let mut failed = Vec::new();
    for (what, change) in VARIANTS {
        let mut files = example();
        change(&mut files);
        assert!(files != example(), "`{what}` changes nothing");
        let outcome = lint(&files);
        if !outcome.findings.is_empty() || !outcome.skipped.is_empty() {
            failed.push(format!("== {what}\n{:?}\n{}", outcome.skipped, shown(&outcome)));
        }
    }
    println!("{} of {} variants clean", VARIANTS.len() - failed.len(), VARIANTS.len());
    assert!(VARIANTS.len() >= 30);
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}

/// Changes the C++ and interface files.
fn code(files: &mut Files, change: impl Fn(&str) -> String) {
    for (name, text) in files.iter_mut() {
        if name.ends_with(".cpp") || name.ends_with(".h") || name.ends_with(".iig") {
            *text = change(text);
        }
    }
}

/// Changes the .cpp files.
fn cpp(files: &mut Files, change: impl Fn(&str) -> String) {
    for (name, text) in files.iter_mut().filter(|(name, _)| name.ends_with(".cpp")) {
        let _ = name;
        *text = change(text);
    }
}

/// Replaces pieces of one file; each must be there.
fn edit(files: &mut Files, file: &str, pairs: &[(&str, &str)]) {
    let (_, text) = files.iter_mut().find(|(name, _)| name == file).expect("file of the example");
    for (from, to) in pairs {
        assert!(text.contains(from), "{file} lacks {from}");
        *text = text.replace(from, to);
    }
}

fn rename(files: &mut Files, from: &str, to: &str) {
    let (name, _) = files.iter_mut().find(|(name, _)| name == from).expect("file of the example");
    *name = to.to_owned();
}

fn strip_comments(text: &str) -> String {
    text.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect()
}

fn headerdoc(text: &str) -> String {
    text.lines()
        .map(|l| match l.strip_prefix("// ----") {
            Some(rest) => format!("#pragma mark - {rest}\n"),
            None if l.starts_with("kern_return_t") || l.starts_with("void") => {
                format!("/*!\n @function it's a method\n @abstract Does {{ }} what ( its name says.\n @param x see \"below\"\n */\n{l}\n", )
            }
            None => format!("{l}\n"),
        })
        .collect()
}

/// One space for every run of white space, except in preprocessor lines and line comments.
fn squeeze(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('#') || line.ends_with('\\') {
            out.push_str(&format!("\n{line}\n"));
        } else if !line.starts_with("//") && !line.is_empty() {
            out.push_str(line.split(" // ").next().unwrap_or(line));
            out.push(' ');
        }
    }
    out
}

const PARAMS: &[(&str, &str)] = &[
    ("Start", "IOService * provider"),
    ("Stop", "IOService * provider"),
    ("SetPowerState", "uint32_t powerFlags"),
    ("UserReportInitiatorIdentifier", "uint64_t * id"),
    ("UserReportHighestSupportedDeviceID", "uint64_t * id"),
    ("UserReportMaximumTaskCount", "uint32_t * count"),
    ("UserReportHBAHighestLogicalUnitNumber", "uint64_t * value"),
    ("UserDoesHBASupportSCSIParallelFeature", "uint32_t theValue, bool * result"),
    ("UserDoesHBAPerformAutoSense", "bool * result"),
    ("UserDoesHBASupportMultiPathing", "bool * result"),
    ("UserDoesHBAPerformDeviceManagement", "bool * result"),
    (
        "UserGetDMASpecification",
        "uint64_t * maxTransferSize, uint32_t * alignment, uint8_t * numAddressBits, DMAOutputSegmentType * segmentType",
    ),
    ("UserInitializeTargetForID", "SCSITargetIdentifier targetID"),
    ("UserAbortTaskRequest", "uint64_t theT, uint64_t theL, uint64_t theQ, uint32_t * response"),
    ("UserAbortTaskSetRequest", "uint64_t theT, uint64_t theL, uint32_t * response"),
    ("UserMapHBAData", "uint32_t * uniqueTaskID"),
    (
        "UserMapBundledParallelTaskCommandAndResponseBuffers",
        "IOBufferMemoryDescriptor * parallelCommandIOMemoryDescriptor, IOBufferMemoryDescriptor * parallelResponseIOMemoryDescriptor",
    ),
    (
        "UserProcessBundledParallelTasks",
        "const uint16_t parallelRequestSlotIndices[kMaxBundledParallelTasks], uint16_t parallelRequestSlotIndicesCount, OSAction * completion",
    ),
    (
        "UserProcessParallelTask",
        "SCSIUserParallelTask parallelRequest, uint32_t * response, OSAction * completion",
    ),
];

fn with_params(text: &str, make: impl Fn(&str, &str) -> String) -> String {
    let mut out = text.to_owned();
    for (method, params) in PARAMS {
        out = out.replace(
            &format!("IMPL(StripeController, {method})\n"),
            &format!("{}\n", make(method, params)),
        );
    }
    out
}

fn to_impl_suffix(text: &str) -> String {
    with_params(text, |method, params| format!("StripeController::{method}_Impl({params})"))
}

fn to_impl_params(text: &str) -> String {
    with_params(text, |method, params| format!("IMPL(StripeController, {method})({params})"))
}

fn one_file(files: &mut Files) {
    let all: String =
        files.iter().filter(|(n, _)| n.ends_with(".cpp")).map(|(_, t)| t.as_str()).collect();
    files.retain(|(n, _)| !n.ends_with(".cpp"));
    files.push(("Everything.cpp".to_owned(), all));
}

fn one_file_each(files: &mut Files) {
    let mut out: Files = Vec::new();
    for (name, text) in files.drain(..) {
        if !name.ends_with(".cpp") {
            out.push((name, text));
            continue;
        }
        let mut part = String::new();
        for line in text.lines() {
            part.push_str(line);
            part.push('\n');
            if line == "}" {
                out.push((format!("part{}.cpp", out.len()), std::mem::take(&mut part)));
            }
        }
    }
    *files = out;
}

const AUX_BY_HAND: &str = "    kern_return_t ret = IODispatchQueue::Create(\"AuxiliaryQueue\", 0, 0, &ivars->auxiliaryQueue);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ret = SetDispatchQueue(\"AuxiliaryQueue\", ivars->auxiliaryQueue);\n";
const IRQ_BY_HAND: &str = "    ret = IODispatchQueue::Create(\"InterruptQueue\", 0, 0, &ivars->interruptQueue);\n    if (ret != kIOReturnSuccess) {\n        return ret;\n    }\n    ret = SetDispatchQueue(\"InterruptQueue\", ivars->interruptQueue);\n";
const BEFORE_QUEUES: &str = "// The framework sends UserCreateTargetForID through";

fn queue_helper(files: &mut Files) {
    edit(
        files,
        "StripeController.cpp",
        &[
            (
                AUX_BY_HAND,
                "    kern_return_t ret = MakeQueue(this, \"AuxiliaryQueue\", &ivars->auxiliaryQueue);\n",
            ),
            (
                IRQ_BY_HAND,
                "    ret = MakeQueue(this, \"InterruptQueue\", &ivars->interruptQueue);\n",
            ),
            (
                BEFORE_QUEUES,
                "static kern_return_t MakeQueue(IOService * owner, const char * name, IODispatchQueue ** queue)\n{\n    kern_return_t ret = IODispatchQueue::Create(name, 0, 0, queue);\n    return ret == kIOReturnSuccess ? owner->SetDispatchQueue(name, *queue) : ret;\n}\n\n// The framework sends UserCreateTargetForID through",
            ),
        ],
    );
}

fn queue_helper_twice(files: &mut Files) {
    edit(
        files,
        "StripeController.cpp",
        &[
            (
                AUX_BY_HAND,
                "    kern_return_t ret = AddQueue(\"AuxiliaryQueue\", &ivars->auxiliaryQueue);\n",
            ),
            (IRQ_BY_HAND, "    ret = AddQueue(\"InterruptQueue\", &ivars->interruptQueue);\n"),
            (
                BEFORE_QUEUES,
                "kern_return_t StripeController::Register(const char * label, IODispatchQueue * made)\n{\n    return SetDispatchQueue(label, made);\n}\n\nkern_return_t StripeController::AddQueue(const char * name, IODispatchQueue ** queue)\n{\n    kern_return_t ret = IODispatchQueue::Create(name, 0, 0, queue);\n    if (ret != kIOReturnSuccess) return ret;\n    return Register(name, *queue);\n}\n\n// The framework sends UserCreateTargetForID through",
            ),
        ],
    );
}

fn queue_macro(files: &mut Files) {
    edit(
        files,
        "StripeController.cpp",
        &[
            (
                AUX_BY_HAND,
                "    kern_return_t ret = kIOReturnSuccess;\n    MAKE_QUEUE(\"AuxiliaryQueue\", ivars->auxiliaryQueue);\n",
            ),
            (IRQ_BY_HAND, "    MAKE_QUEUE(\"InterruptQueue\", ivars->interruptQueue);\n"),
            (
                BEFORE_QUEUES,
                "#define MAKE_QUEUE(name, queue) \\\n    do { \\\n        ret = IODispatchQueue::Create(name, 0, 0, &queue); \\\n        if (ret == kIOReturnSuccess) { \\\n            ret = SetDispatchQueue(name, queue); \\\n        } \\\n    } while (0)\n\n// The framework sends UserCreateTargetForID through",
            ),
        ],
    );
}

fn queue_table(files: &mut Files) {
    edit(
        files,
        "StripeController.cpp",
        &[
            (
                AUX_BY_HAND,
                "    kern_return_t ret = kIOReturnSuccess;\n    const struct { const char * name; IODispatchQueue ** queue; } table[] = {\n        { \"AuxiliaryQueue\", &ivars->auxiliaryQueue },\n        { \"InterruptQueue\", &ivars->interruptQueue },\n    };\n    for (const auto & entry : table) {\n        ret = IODispatchQueue::Create(entry.name, 0, 0, entry.queue);\n        if (ret == kIOReturnSuccess) {\n            ret = SetDispatchQueue(entry.name, *entry.queue);\n        }\n    }\n",
            ),
            (IRQ_BY_HAND, ""),
        ],
    );
}

fn constraint_table(files: &mut Files) {
    edit(
        files,
        "StripeController.cpp",
        &[(
            "    set(kIOMaximumSegmentCountReadKey, kSegmentCount);\n    set(kIOMaximumSegmentCountWriteKey, kSegmentCount);\n",
            "    static const struct { const char * key; uint64_t value; } limits[] = {\n        { kIOMaximumSegmentCountReadKey, kSegmentCount },\n        { kIOMaximumSegmentCountWriteKey, kSegmentCount },\n    };\n    for (const auto & limit : limits) {\n        set(limit.key, limit.value);\n    }\n",
        )],
    );
}

fn helper_class(files: &mut Files) {
    files.push(("StripeQueues.h".to_owned(), "#pragma once\nclass StripeQueues {\npublic:\n    static kern_return_t Add(IOService * owner, const char * name, IODispatchQueue ** out)\n    {\n        auto ret = IODispatchQueue::Create(name, 0, 0, out);\n        if (ret != kIOReturnSuccess)\n            return ret;\n        return owner->SetDispatchQueue(name, *out);\n    }\n};\n".to_owned()));
    edit(
        files,
        "StripeController.cpp",
        &[
            (
                AUX_BY_HAND,
                "    kern_return_t ret = StripeQueues::Add(this, \"AuxiliaryQueue\", &ivars->auxiliaryQueue);\n",
            ),
            (
                IRQ_BY_HAND,
                "    ret = StripeQueues::Add(this, \"InterruptQueue\", &ivars->interruptQueue);\n",
            ),
        ],
    );
}
