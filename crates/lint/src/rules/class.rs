//! The class itself: the methods it must override.

use crate::model::framework;

use super::texts::class::NOT_OVERRIDDEN;
use super::{Check, Finding};

pub(super) fn check(cx: &Check<'_>, out: &mut Vec<Finding>) {
    for controller in &cx.program.controllers {
        let Some(place) = controller.declared.filter(|_| !controller.indirect) else { continue };
        let pure = framework::METHODS.iter().filter(|m| m.pure);
        let (there, missing): (Vec<_>, Vec<_>) =
            pure.partition(|m| controller.method(m.name).is_some());
        // A class that declares only a few of them is an excerpt or an abstract base.
        let derived = cx.program.classes.iter().any(|c| c.bases.contains(&controller.name));
        if missing.is_empty() || there.len() < missing.len() || derived {
            continue;
        }
        let names: Vec<&str> = missing.iter().map(|m| m.name).collect();
        out.push(
            Finding::new(
                &NOT_OVERRIDDEN,
                place,
                format!("{} does not override {}", controller.name, names.join(", ")),
            )
            .label("stays abstract"),
        );
    }
}
