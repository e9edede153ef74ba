//! The dispatch queues of a program: made by `Create`, registered by `SetDispatchQueue`, used by blocks and sources.

use std::collections::{HashMap, HashSet};

use crate::source::Place;
use crate::syntax::ast::{Expr, ExprKind};
use crate::syntax::walk;

use super::graph::{Graph, queue_key};
use super::program::{FnId, Program};

/// A `Create` or a `SetDispatchQueue`.
#[derive(Clone, Debug)]
pub(crate) struct QueueCall<'p> {
    /// The queue's name; `None` if it cannot be told.
    pub(crate) name: Option<String>,
    /// The variable the queue is in.
    pub(crate) key: String,
    pub(crate) place: Place,
    /// The call itself, which may stand in a helper.
    pub(crate) expr: &'p Expr,
    pub(crate) function: FnId,
    /// The call got its name through a helper's parameter.
    pub(crate) through_helper: bool,
}

/// What is known of all queues.
#[derive(Default)]
pub(crate) struct Queues<'p> {
    pub(crate) created: Vec<QueueCall<'p>>,
    pub(crate) registered: Vec<QueueCall<'p>>,
    /// Names that a call with an untold name may mean: strings near it.
    pub(crate) maybe_created: HashSet<String>,
    pub(crate) maybe_registered: HashSet<String>,
    by_key: HashMap<String, String>,
    used: HashSet<String>,
}

impl<'p> Queues<'p> {
    /// Finds all queues.
    pub(crate) fn build(graph: &Graph<'p>) -> Self {
        let mut out = Self::default();
        let program = graph.program;
        for id in 0..program.functions.len() {
            for call in graph.calls(id) {
                let expr = call.expr;
                let args = expr.args();
                if expr.calls(&["Create"]) && is_queue_create(expr) && args.len() >= 4 {
                    out.add(graph, id, expr, &args[0], &args[3], true);
                } else if expr.calls(&["SetDispatchQueue"]) && args.len() == 2 {
                    out.add(graph, id, expr, &args[0], &args[1], false);
                } else if expr.calls(&["CopyDispatchQueue"]) && args.len() == 2 {
                    if let Some(name) = program.string(&args[0], Some(&program.functions[id])) {
                        out.by_key.entry(queue_key(args[1].peeled(), id, program)).or_insert(name);
                    }
                } else {
                    out.note_uses(program, id, expr);
                }
            }
            out.aliases(program, id);
        }
        out
    }

    /// The name of the queue in a variable.
    pub(crate) fn name_of(&self, key: &str) -> Option<String> {
        self.by_key.get(key).cloned()
    }

    /// Whether a queue of this name is registered for sure.
    pub(crate) fn is_registered(&self, name: &str) -> bool {
        self.registered.iter().any(|c| c.name.as_deref() == Some(name))
    }

    /// Whether anything is run on the queue in a variable, or it is handed on.
    pub(crate) fn is_used(&self, call: &QueueCall<'_>) -> bool {
        let name = call.name.as_deref();
        self.used.contains(&call.key)
            || self
                .used
                .iter()
                .any(|key| name.is_some() && self.by_key.get(key).map(String::as_str) == name)
    }

    fn add(
        &mut self,
        graph: &Graph<'p>,
        id: FnId,
        expr: &'p Expr,
        name: &'p Expr,
        queue: &'p Expr,
        create: bool,
    ) {
        let program = graph.program;
        let mut found = Vec::new();
        instantiate(graph, id, name, queue, 0, &mut found);
        for (site, place, name, queue) in found {
            let text = program.string(name, Some(&program.functions[site]));
            let key = queue_key(queue.peeled(), site, program);
            match &text {
                Some(text) => {
                    self.by_key.entry(key.clone()).or_insert_with(|| text.clone());
                    if site == id {
                        let own = queue_key(queue.peeled(), id, program);
                        self.by_key.entry(own).or_insert_with(|| text.clone());
                    }
                }
                None => {
                    self.table_rows(program, site);
                    let near = strings_near(program, site);
                    if create {
                        self.maybe_created.extend(near);
                    } else {
                        self.maybe_registered.extend(near);
                    }
                }
            }
            let call = QueueCall {
                name: text,
                key,
                place: place.unwrap_or_else(|| Place::new(program.functions[id].file, expr.span)),
                expr,
                function: site,
                through_helper: site != id,
            };
            let list = if create { &mut self.created } else { &mut self.registered };
            list.push(call);
        }
    }

    /// `{ "name", &queue }` in a table of queues: the name of the queue in that variable.
    fn table_rows(&mut self, program: &'p Program, id: FnId) {
        let mut rows = Vec::new();
        walk::exprs(&program.functions[id].body, &mut |e| {
            let ExprKind::List(items) = &e.kind else { return };
            let name = items.iter().find_map(|i| program.string(i, None));
            let queue = items.iter().find(|i| matches!(i.uncast().kind, ExprKind::Unary(b'&', _)));
            if let (Some(name), Some(queue)) = (name, queue) {
                rows.push((queue_key(queue.peeled(), id, program), name));
            }
        });
        for (key, name) in rows {
            self.by_key.entry(key).or_insert(name);
        }
    }

    /// Queues that something is dispatched to, or that are handed to another call.
    fn note_uses(&mut self, program: &Program, id: FnId, expr: &Expr) {
        let name = expr.callee().unwrap_or("");
        if let Some(receiver) = expr.receiver()
            && !matches!(name, "retain" | "release")
        {
            self.used.insert(queue_key(receiver.peeled(), id, program));
        }
        if matches!(name, "OSSafeReleaseNULL" | "OSSafeRelease" | "release" | "os_log" | "IOLog") {
            return;
        }
        for arg in expr.args() {
            if matches!(arg.peeled().kind, ExprKind::Name(_) | ExprKind::Member(..)) {
                self.used.insert(queue_key(arg.peeled(), id, program));
            }
        }
    }

    /// `ivars->queue = queue` names the same queue twice.
    fn aliases(&mut self, program: &'p Program, id: FnId) {
        let function = &program.functions[id];
        let mut pairs = Vec::new();
        walk::exprs(&function.body, &mut |e| {
            if let ExprKind::Assign(op, lhs, rhs) = &e.kind
                && op.is_empty()
                && matches!(rhs.peeled().kind, ExprKind::Name(_) | ExprKind::Member(..))
            {
                pairs.push((lhs, rhs));
            }
        });
        for (lhs, rhs) in pairs {
            let (to, from) =
                (queue_key(lhs.peeled(), id, program), queue_key(rhs.peeled(), id, program));
            if let Some(name) = self.by_key.get(&from).cloned() {
                self.by_key.entry(to.clone()).or_insert(name);
                if self.used.contains(&to) {
                    self.used.insert(from);
                }
            }
        }
    }
}

fn is_queue_create(expr: &Expr) -> bool {
    expr.qualifier().is_some_and(|q| q.ends_with("IODispatchQueue"))
}

/// Follows a helper's parameters to the values its callers give.
fn instantiate<'p>(
    graph: &Graph<'p>,
    id: FnId,
    name: &'p Expr,
    queue: &'p Expr,
    depth: usize,
    out: &mut Vec<(FnId, Option<Place>, &'p Expr, &'p Expr)>,
) {
    let params = &graph.program.functions[id].params;
    let index = |e: &Expr| match &e.peeled().kind {
        ExprKind::Name(n) => params.iter().position(|p| p.name == *n),
        _ => None,
    };
    let (name_param, queue_param) = (index(name), index(queue));
    if (name_param.is_none() && queue_param.is_none()) || depth >= 5 || out.len() > 256 {
        out.push((id, None, name, queue));
        return;
    }
    let mut any = false;
    for (caller, call) in graph.callers(id) {
        let args = call.expr.args();
        let pick = |at: Option<usize>, own: &'p Expr| match at {
            Some(i) => args.get(i),
            None => Some(own),
        };
        if let (Some(name), Some(queue)) = (pick(name_param, name), pick(queue_param, queue)) {
            any = true;
            let before = out.len();
            instantiate(graph, caller, name, queue, depth + 1, out);
            let place = graph.place(caller, call);
            for entry in &mut out[before..] {
                entry.1.get_or_insert(place);
            }
        }
    }
    if !any {
        out.push((id, None, name, queue));
    }
}

/// All string literals in a function and in the tables it names.
fn strings_near(program: &Program, id: FnId) -> Vec<String> {
    let mut out = Vec::new();
    let mut names = Vec::new();
    let mut note = |e: &Expr| match &e.kind {
        ExprKind::Str(text) => out.push(text.to_string()),
        ExprKind::Name(name) => names.push(name.clone()),
        _ => {}
    };
    walk::exprs(&program.functions[id].body, &mut note);
    let mut more = Vec::new();
    for name in names {
        if let Some(init) = program.globals.get(&name).and_then(|g| g.init.as_ref()) {
            walk::expr(init, true, &mut |e| {
                if let ExprKind::Str(text) = &e.kind {
                    more.push(text.to_string());
                }
            });
        }
    }
    out.append(&mut more);
    out
}
