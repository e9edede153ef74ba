//! Personalities and entitlements.

use crate::model::framework::{CONTROLLER, KEXT_CONTROLLER};
use crate::plist::{Item, PlistFile, Value};
use crate::source::{FileId, FileKind, Place, Span};

use super::texts::personality::{CONTRADICT, ENTITLEMENT, KEY_MISSING};
use super::{Check, Finding};

const FAMILY_BUNDLE: &str = "com.apple.iokit.IOSCSIParallelFamily";
const BASE: &str = "com.apple.developer.driverkit";
const FAMILY: &str = "com.apple.developer.driverkit.family.scsicontroller";
const PCI: &str = "com.apple.developer.driverkit.transport.pci";

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    let mut pci = None;
    let mut with_personalities = Vec::new();
    for (id, file) in cx.plists {
        if cx.sources.file(*id).kind == FileKind::Plist
            && let Some(root) = &file.root
            && let Some((_, personalities)) = root.entry("IOKitPersonalities")
        {
            with_personalities.push((*id, personalities));
        }
    }
    let mut named: Vec<&str> = Vec::new();
    for (id, personalities) in &with_personalities {
        let Value::Dict(entries) = &personalities.value else { continue };
        for (name, span, item) in entries {
            if is_controller(cx, item) {
                named.extend(item.entry("IOUserClass").and_then(|(_, v)| v.text()));
                personality(cx, *id, name, *span, item, out);
                let provider = item.entry("IOProviderClass");
                if let Some((span, value)) = provider
                    && value.text() == Some("IOPCIDevice")
                {
                    pci = Some(Place::new(*id, span));
                }
            }
        }
    }
    no_personality(cx, &with_personalities, &named, out);
    entitlements(cx, pci, out);
}

/// Whether a personality is that of a SCSI controller dext.
fn is_controller(cx: &Check<'_>, item: &Item) -> bool {
    let text = |key: &str| item.entry(key).and_then(|(_, v)| v.text()).unwrap_or("");
    let user_class = text("IOUserClass");
    text("IOClass") == CONTROLLER
        || (text("CFBundleIdentifierKernel") == FAMILY_BUNDLE && text("IOClass") != KEXT_CONTROLLER)
        || cx.program.controllers.iter().any(|c| &*c.name == user_class)
}

fn personality(
    cx: &Check<'_>,
    id: FileId,
    name: &str,
    span: Span,
    item: &Item,
    out: &mut Vec<Finding>,
) {
    let missing: Vec<&str> =
        ["IOClass", "IOUserClass", "IOProviderClass", "CFBundleIdentifierKernel"]
            .into_iter()
            .filter(|key| item.entry(key).is_none())
            .collect();
    if !missing.is_empty() {
        out.push(
            Finding::new(
                &KEY_MISSING,
                Place::new(id, span),
                format!("personality `{name}` lacks {}", missing.join(", ")),
            )
            .label("this personality"),
        );
    }
    let wanted = [("IOClass", CONTROLLER), ("CFBundleIdentifierKernel", FAMILY_BUNDLE)];
    for (key, right) in wanted {
        if let Some((_, value)) = item.entry(key)
            && let Some(text) = value.text().filter(|t| *t != right && !t.contains("$("))
        {
            out.push(
                Finding::new(
                    &CONTRADICT,
                    Place::new(id, value.span),
                    format!("personality `{name}` has {key} `{text}`"),
                )
                .label(format!("expected {right}")),
            );
        }
    }
    let Some((_, value)) = item.entry("IOUserClass") else { return };
    let Some(class) = value.text().filter(|t| !t.contains("$(")) else { return };
    let declared: Vec<&str> = cx.program.controllers.iter().map(|c| &*c.name).collect();
    if !declared.is_empty() && !declared.contains(&class) {
        out.push(
            Finding::new(
                &CONTRADICT,
                Place::new(id, value.span),
                format!("IOUserClass `{class}` is not the controller of these sources"),
            )
            .label(format!("the sources have {}", declared.join(", "))),
        );
    }
}

/// A file with personalities, none of which names a controller class that the sources declare.
fn no_personality(
    cx: &Check<'_>,
    files: &[(FileId, &Item)],
    named: &[&str],
    out: &mut Vec<Finding>,
) {
    let [(id, personalities)] = files else { return };
    if !named.is_empty() || out.iter().any(|f| f.place.file == *id) {
        return;
    }
    for controller in cx.program.controllers.iter().filter(|c| c.declared.is_some()) {
        out.push(
            Finding::new(
                &CONTRADICT,
                Place::new(*id, first_line(personalities.span)),
                format!("no personality names IOUserClass `{}`", controller.name),
            )
            .label("the controller is never matched"),
        );
    }
}

fn entitlements(cx: &Check<'_>, pci: Option<Place>, out: &mut Vec<Finding>) {
    let files: Vec<&(FileId, PlistFile)> = cx
        .plists
        .iter()
        .filter(|(id, _)| cx.sources.file(*id).kind == FileKind::Entitlements)
        .collect();
    for (id, file) in files {
        let Some(root) = &file.root else { continue };
        let Value::Dict(entries) = &root.value else { continue };
        // The host application has entitlements of its own.
        let is_app = root.entry("com.apple.developer.system-extension.install").is_some()
            || root.entry("com.apple.developer.driverkit.userclient-access").is_some();
        if is_app {
            continue;
        }
        let other_family = entries
            .iter()
            .any(|(k, _, _)| k.starts_with("com.apple.developer.driverkit.family.") && k != FAMILY);
        let has_own = root.entry(FAMILY).is_some();
        let relevant = has_own
            || !cx.program.controllers.is_empty()
            || entries.iter().any(|(k, _, _)| k == BASE) && cx.program.classes.is_empty();
        if !relevant {
            continue;
        }
        let mut wanted = vec![(BASE, false), (FAMILY, other_family)];
        if pci.is_some() {
            wanted.push((PCI, false));
        }
        for (key, possible) in wanted {
            match root.entry(key) {
                None => {
                    let mut finding = Finding::new(
                        &ENTITLEMENT,
                        Place::new(*id, first_line(root.span)),
                        format!("entitlement `{key}` is missing"),
                    )
                    .label("not among these entitlements")
                    .possible(possible);
                    if let (PCI, Some(place)) = (key, pci) {
                        finding = finding.related(place, "the provider is a PCI device");
                    }
                    out.push(finding);
                }
                Some((_, value)) if value.value == Value::Bool(false) => out.push(
                    Finding::new(
                        &ENTITLEMENT,
                        Place::new(*id, value.span),
                        format!("entitlement `{key}` is false"),
                    )
                    .label("must be true"),
                ),
                Some(_) => {}
            }
        }
    }
}

/// The opening tag of a long value.
fn first_line(span: Span) -> Span {
    Span { start: span.start, end: (span.start + 6).min(span.end) }
}
