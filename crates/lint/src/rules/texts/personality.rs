//! What the rules of this group say. Personalities and entitlements.

use super::{Rule, Severity};

pub(in crate::rules) const RULES: &[&Rule] = &[&KEY_MISSING, &CONTRADICT, &ENTITLEMENT];

pub(in crate::rules) static KEY_MISSING: Rule = Rule {
    id: "DK701",
    name: "personality-key-missing",
    severity: Severity::Error,
    summary: "The personality of the controller lacks a key.",
    reason: "The kernel starts the in-kernel half named by IOClass out of the bundle named by CFBundleIdentifierKernel, \
             attaches it to IOProviderClass, and asks the dext for IOUserClass. Without one of them the driver never \
             matches, or matches without its kernel half.",
    source: "SCSIControllerDriverKit documentation; driverkit.md 1",
    mend: "give the personality IOClass, IOUserClass, IOProviderClass and CFBundleIdentifierKernel",
    wrong: include_str!("../../../fixtures/rules/DK701/wrong.plist"),
    right: include_str!("../../../fixtures/rules/DK701/right.plist"),
    language: "plist",
    fixable: false,
};

pub(in crate::rules) static CONTRADICT: Rule = Rule {
    id: "DK702",
    name: "personality-contradicts",
    severity: Severity::Error,
    summary: "A personality names another class or bundle than the driver is made of.",
    reason: "IOClass and CFBundleIdentifierKernel are the framework's own names, IOUserClass is the class in the dext. A \
             name that does not exist ends in a driver that is listed and never starts.",
    source: "SCSIControllerDriverKit documentation; driverkit.md 1",
    mend: "IOClass IOUserSCSIParallelInterfaceController, CFBundleIdentifierKernel \
           com.apple.iokit.IOSCSIParallelFamily, IOUserClass the class of the .iig",
    wrong: include_str!("../../../fixtures/rules/DK702/wrong.plist"),
    right: include_str!("../../../fixtures/rules/DK702/right.plist"),
    language: "plist",
    fixable: false,
};

pub(in crate::rules) static ENTITLEMENT: Rule = Rule {
    id: "DK703",
    name: "entitlement-missing",
    severity: Severity::Error,
    summary: "The entitlements lack what a SCSI controller dext needs.",
    reason: "The system ends a dext without com.apple.developer.driverkit and \
             com.apple.developer.driverkit.family.scsicontroller before its first line runs; one for PCI hardware needs \
             the PCI transport entitlement to open its provider.",
    source: "DriverKit entitlement documentation; driverkit.md 1, 5.2 (27)",
    mend: "add the entitlement with the value true (for transport.pci: the list of devices)",
    wrong: include_str!("../../../fixtures/rules/DK703/wrong.entitlements"),
    right: include_str!("../../../fixtures/rules/DK703/right.entitlements"),
    language: "entitlements",
    fixable: false,
};
