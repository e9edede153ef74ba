//! Who calls whom, directly or by way of a dispatch queue, and from which queue a call can be reached.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use crate::source::{Place, Span};
use crate::syntax::ast::{Expr, ExprKind, Function, Name, Stmt, StmtKind};
use crate::syntax::walk;

use super::framework::{self, DEFAULT_QUEUE};
use super::program::{Controller, FnId, Program};

/// How a call inside a function is run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Via {
    /// At once, by the caller.
    Direct,
    /// Later, on the queue of this key.
    Async(String),
    /// On the queue of this key while the caller waits.
    Sync(String),
    /// In a lambda or block whose caller is not known.
    Unknown,
}

/// A call in the text of a function.
pub(crate) struct Call<'p> {
    pub(crate) expr: &'p Expr,
    pub(crate) via: Via,
    pub(crate) targets: Vec<FnId>,
    /// The call is repeated by a loop around it.
    pub(crate) in_loop: bool,
}

/// A way to reach a function from an entry point.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) entry: FnId,
    /// Name of the queue it runs on, `None` if not known.
    pub(crate) queue: Option<String>,
    /// The step before: function and place of the call.
    from: Option<(FnId, usize, Place)>,
}

/// All calls of a program.
pub(crate) struct Graph<'p> {
    pub(crate) program: &'p Program,
    calls: Vec<Vec<Call<'p>>>,
    by_span: HashMap<(FnId, Span), usize>,
    callers: HashMap<FnId, Vec<(FnId, usize)>>,
}

impl<'p> Graph<'p> {
    /// Collects the calls of every function.
    pub(crate) fn build(program: &'p Program) -> Self {
        let mut calls = Vec::with_capacity(program.functions.len());
        let mut callers: HashMap<FnId, Vec<(FnId, usize)>> = HashMap::new();
        let mut by_span = HashMap::new();
        for (id, function) in program.functions.iter().enumerate() {
            let mut collector =
                Collector { program, id, out: Vec::new(), lambdas: Vec::new(), depth: 0 };
            collector.stmts(&function.body, &Via::Direct, false);
            for (i, call) in collector.out.iter().enumerate() {
                by_span.insert((id, call.expr.span), i);
                for target in &call.targets {
                    callers.entry(*target).or_default().push((id, i));
                }
            }
            calls.push(collector.out);
        }
        Self { program, calls, by_span, callers }
    }

    /// The calls in the text of a function.
    pub(crate) fn calls(&self, id: FnId) -> &[Call<'p>] {
        &self.calls[id]
    }

    /// The functions of the program that a call in the text of a function may run.
    pub(crate) fn targets(&self, id: FnId, call: &Expr) -> &[FnId] {
        self.by_span.get(&(id, call.span)).map_or(&[], |i| &self.calls[id][*i].targets)
    }

    /// The calls of a function that go to `target`'s definition.
    pub(crate) fn callers(&self, id: FnId) -> impl Iterator<Item = (FnId, &Call<'p>)> {
        let list = self.callers.get(&id);
        list.into_iter().flatten().map(|(caller, i)| (*caller, &self.calls[*caller][*i]))
    }

    /// The place of a call.
    pub(crate) fn place(&self, id: FnId, call: &Call<'p>) -> Place {
        Place::new(self.program.functions[id].file, call.expr.span)
    }

    /// Functions that run, directly or while the caller waits, when `entry` is called; with the chain of calls to each.
    pub(crate) fn reach(&self, entry: FnId) -> Vec<(FnId, Vec<Place>)> {
        let mut out = vec![(entry, Vec::new())];
        let mut seen = HashSet::from([entry]);
        let mut next = 0;
        while next < out.len() && out.len() < 4096 {
            let (id, chain) = (out[next].0, out[next].1.clone());
            next += 1;
            for call in &self.calls[id] {
                if !matches!(call.via, Via::Direct | Via::Sync(_)) {
                    continue;
                }
                for target in &call.targets {
                    if seen.insert(*target) {
                        let mut chain = chain.clone();
                        if chain.len() < 8 {
                            chain.push(self.place(id, call));
                        }
                        out.push((*target, chain));
                    }
                }
            }
        }
        out
    }

    /// Whether a call that satisfies `wanted` runs when `entry` is called.
    pub(crate) fn reaches(&self, entry: FnId, wanted: &dyn Fn(FnId, &Call<'p>) -> bool) -> bool {
        self.reach(entry).iter().any(|(id, _)| {
            self.calls[*id]
                .iter()
                .any(|c| matches!(c.via, Via::Direct | Via::Sync(_)) && wanted(*id, c))
        })
    }

    /// Whether everything that `entry` calls directly is defined in the program or known to be harmless.
    pub(crate) fn calls_unknown_helper(&self, entry: FnId, known: &dyn Fn(&str) -> bool) -> bool {
        self.reach(entry).iter().any(|(id, _)| {
            self.calls[*id].iter().any(|c| {
                c.targets.is_empty()
                    && c.expr.receiver().is_none_or(is_this)
                    && c.expr.qualifier().is_none()
                    && c.expr.callee().is_some_and(|n| !known(n))
            })
        })
    }

    /// Every function with the entry points and queues it can be reached from.
    pub(crate) fn contexts(
        &self,
        entries: &[(FnId, Option<String>)],
        queue_of: &dyn Fn(FnId, &str) -> Option<String>,
    ) -> HashMap<FnId, Vec<Reached>> {
        let mut out: HashMap<FnId, Vec<Reached>> = HashMap::new();
        let mut work: VecDeque<(FnId, usize)> = VecDeque::new();
        for (id, queue) in entries {
            out.entry(*id).or_default().push(Reached {
                entry: *id,
                queue: queue.clone(),
                from: None,
            });
            work.push_back((*id, out[id].len() - 1));
        }
        while let Some((id, index)) = work.pop_front() {
            let here = out[&id][index].clone();
            for call in &self.calls[id] {
                let queues: Vec<Option<String>> = match &call.via {
                    Via::Direct => vec![here.queue.clone()],
                    Via::Async(key) => vec![queue_of(id, key)],
                    Via::Sync(key) => vec![here.queue.clone(), queue_of(id, key)],
                    Via::Unknown => vec![None],
                };
                for target in &call.targets {
                    for queue in &queues {
                        let list = out.entry(*target).or_default();
                        if list.len() >= 24 || list.iter().any(|r| r.queue == *queue) {
                            continue;
                        }
                        let from = Some((id, index, self.place(id, call)));
                        list.push(Reached { entry: here.entry, queue: queue.clone(), from });
                        work.push_back((*target, list.len() - 1));
                    }
                }
            }
        }
        out
    }
}

/// The places of the calls that lead to a reached function, entry first.
pub(crate) fn chain(contexts: &HashMap<FnId, Vec<Reached>>, at: &Reached) -> Vec<Place> {
    let mut out = Vec::new();
    let mut step = at.from;
    while let Some((id, index, place)) = step {
        if out.len() >= 8 {
            break;
        }
        out.push(place);
        step = contexts.get(&id).and_then(|l| l.get(index)).and_then(|r| r.from);
    }
    out.reverse();
    out
}

/// The entry points of a controller with the queue each runs on.
pub(crate) fn entries(program: &Program, controller: &Controller) -> Vec<(FnId, Option<String>)> {
    let mut out = Vec::new();
    for (id, function) in program.functions.iter().enumerate() {
        if function.class.as_deref() != Some(&*controller.name) {
            continue;
        }
        let declared = controller.method(&function.name);
        let framework = framework::method(&function.name).is_some_and(|m| m.called_by_framework)
            || framework::SERVICE_METHODS.iter().any(|(n, _)| *n == &*function.name);
        let remote = declared.is_some_and(|m| m.action_type.is_some());
        let named = declared.and_then(|m| m.queue.as_ref());
        if framework || remote || named.is_some() {
            let queue = named.map_or_else(|| DEFAULT_QUEUE.to_owned(), |q| q.argument.clone());
            out.push((id, Some(queue)));
        }
    }
    out
}

/// Whether an expression is `this`.
pub(crate) fn is_this(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Name(name) if &**name == "this")
}

struct Collector<'p> {
    program: &'p Program,
    id: FnId,
    out: Vec<Call<'p>>,
    lambdas: Vec<(Name, Rc<Function>, &'p Function)>,
    depth: usize,
}

impl<'p> Collector<'p> {
    fn stmts(&mut self, body: &'p [Stmt], via: &Via, in_loop: bool) {
        for stmt in body {
            let looped =
                in_loop || matches!(stmt.kind, StmtKind::Loop { .. } | StmtKind::Each { .. });
            if let StmtKind::Decl(decl) = &stmt.kind
                && let Some(ExprKind::Lambda(lambda)) = decl.init.as_ref().map(|e| &e.peeled().kind)
            {
                // A named lambda runs where it is called, not where it stands.
                self.lambdas.push((decl.name.clone(), lambda.clone(), lambda));
                continue;
            }
            for e in walk::own_exprs(stmt) {
                self.expr(e, via, looped);
            }
            for part in walk::bodies(stmt) {
                self.stmts(part, via, looped);
            }
        }
    }

    fn expr(&mut self, e: &'p Expr, via: &Via, in_loop: bool) {
        match &e.kind {
            ExprKind::Lambda(lambda) => self.stmts(&lambda.body, &Via::Unknown, in_loop),
            ExprKind::Call(callee, args) => {
                if let ExprKind::Lambda(lambda) = &callee.kind {
                    self.stmts(&lambda.body, via, in_loop);
                } else {
                    self.expr(callee, via, in_loop);
                }
                let run = dispatch(e, self.id, self.program);
                for arg in args {
                    let lambda = match &arg.peeled().kind {
                        ExprKind::Lambda(lambda) => Some(&**lambda),
                        ExprKind::Name(name) if run.is_some() => self.lambda(name),
                        _ => None,
                    };
                    match (lambda, &run) {
                        (Some(lambda), Some(run)) => self.enter(lambda, run, in_loop),
                        _ => self.expr(arg, via, in_loop),
                    }
                }
                if let ExprKind::Name(name) = &callee.kind
                    && let Some(lambda) = self.lambda(name)
                {
                    self.enter(lambda, via, in_loop);
                }
                let targets = self.targets(e);
                self.out.push(Call { expr: e, via: via.clone(), targets, in_loop });
            }
            _ => {
                for child in walk::children(e) {
                    self.expr(child, via, in_loop);
                }
            }
        }
    }

    fn enter(&mut self, lambda: &'p Function, via: &Via, in_loop: bool) {
        if self.depth < 4 {
            self.depth += 1;
            self.stmts(&lambda.body, via, in_loop);
            self.depth -= 1;
        }
    }

    fn lambda(&self, name: &str) -> Option<&'p Function> {
        self.lambdas.iter().rev().find(|(n, _, _)| &**n == name).map(|(_, _, f)| *f)
    }

    /// The functions of the program that a call may run.
    fn targets(&self, call: &Expr) -> Vec<FnId> {
        let Some(name) = call.callee() else { return Vec::new() };
        let is_super = call.qualifier().is_some_and(|q| q == "super" || q.starts_with("IO"))
            || call.args().iter().any(|a| a.last_name() == Some("SUPERDISPATCH"));
        if is_super {
            return Vec::new();
        }
        let Some(named) = self.program.by_name.get(name) else { return Vec::new() };
        let function = |id: &&FnId| &self.program.functions[**id];
        let class = self.program.functions[self.id].class.as_ref();
        let receiver = call.receiver();
        if receiver.is_none_or(is_this) {
            if let Some(qualifier) = call.qualifier() {
                let last = qualifier.rsplit("::").next().unwrap_or(qualifier);
                let exact: Vec<FnId> = named
                    .iter()
                    .filter(|id| function(id).class.as_deref() == Some(last))
                    .copied()
                    .collect();
                if !exact.is_empty() {
                    return exact;
                }
            }
            let own: Vec<FnId> = named
                .iter()
                .filter(|id| class.is_some() && function(id).class.as_ref() == class)
                .copied()
                .collect();
            if !own.is_empty() {
                return own;
            }
            let free: Vec<FnId> =
                named.iter().filter(|id| function(id).class.is_none()).copied().collect();
            if !free.is_empty() {
                return free;
            }
        }
        // A method of some other object: only if there is no doubt which one.
        let known = framework::method(name).is_some() || COMMON.contains(&name);
        let mut owners: Vec<&Name> =
            named.iter().filter_map(|id| function(&id).class.as_ref()).collect();
        owners.dedup();
        if !known && owners.len() == 1 { named.clone() } else { Vec::new() }
    }
}

/// Names that classes outside the program have too.
const COMMON: &[&str] = &[
    "Create",
    "Start",
    "Stop",
    "init",
    "free",
    "retain",
    "release",
    "Open",
    "Close",
    "Cancel",
    "SetHandler",
    "SetEnable",
    "GetLength",
    "GetAddress",
    "setObject",
    "getObject",
    "begin",
    "end",
    "size",
    "data",
    "get",
    "reset",
    "push_back",
    "Complete",
    "Map",
];

/// Whether a call hands a block to a queue, and how.
fn dispatch(call: &Expr, id: FnId, program: &Program) -> Option<Via> {
    let name = call.callee()?;
    let queue = match call.receiver() {
        Some(receiver) => receiver,
        None => call.args().first().filter(|_| name.starts_with("dispatch_"))?,
    };
    let key = queue_key(queue, id, program);
    match name {
        "DispatchAsync" | "DispatchAsync_f" | "DispatchConcurrent" | "dispatch_async"
        | "dispatch_after" => Some(Via::Async(key)),
        "DispatchSync"
        | "DispatchSync_f"
        | "RunAction"
        | "runAction"
        | "dispatch_sync"
        | "dispatch_async_and_wait" => Some(Via::Sync(key)),
        _ => None,
    }
}

/// A key for a queue variable; locals and parameters carry the function's number.
pub(crate) fn queue_key(expr: &Expr, id: FnId, program: &Program) -> String {
    let key = expr.key();
    let root = key.split(['.', '[', '(']).next().unwrap_or(&key);
    if program.locals[id].contains(root) { format!("#{id}:{key}") } else { key }
}
