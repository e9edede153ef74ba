//! What the names of a function mean for slots.

use std::collections::{HashMap, HashSet};

use crate::model::program::Program;
use crate::syntax::ast::{Decl, Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

/// Which of the two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Side {
    Command,
    Response,
}

/// A slot named by an expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Slot {
    pub(in crate::rules) side: Side,
    /// Normalised text of the index.
    pub(in crate::rules) index: String,
    /// A copy, not the slot itself.
    pub(in crate::rules) copy: bool,
}

/// What the names of one function mean for slots.
pub(in crate::rules) struct Scope<'p> {
    program: &'p Program,
    types: HashMap<&'p str, &'p str>,
    inits: HashMap<&'p str, &'p Expr>,
    aliases: HashMap<&'p str, Slot>,
}

impl<'p> Scope<'p> {
    pub(in crate::rules) fn new(program: &'p Program, function: &'p Function) -> Self {
        let mut out =
            Self { program, types: HashMap::new(), inits: HashMap::new(), aliases: HashMap::new() };
        for param in &function.params {
            out.types.insert(&param.name, &param.ty);
        }
        let mut decls: Vec<&'p Decl> = Vec::new();
        walk::stmts(&function.body, &mut |stmt| match &stmt.kind {
            StmtKind::Decl(decl) => decls.push(decl),
            StmtKind::Each { var, .. } => decls.push(var),
            _ => {}
        });
        let mut assigned: HashSet<&str> = HashSet::new();
        walk::exprs_here(&function.body, &mut |e| {
            if let ExprKind::Assign(_, target, _) | ExprKind::Step { of: target, .. } = &e.kind
                && let ExprKind::Name(name) = &target.kind
            {
                assigned.insert(name);
            }
        });
        let mut declared: HashMap<&str, usize> = HashMap::new();
        for decl in &decls {
            *declared.entry(&decl.name).or_default() += 1;
        }
        for decl in &decls {
            out.types.insert(&decl.name, &decl.ty);
            if let Some(init) = &decl.init
                && !assigned.contains(&*decl.name)
                && declared[&*decl.name] == 1
            {
                out.inits.insert(&decl.name, init);
            }
        }
        for decl in decls {
            let Some(init) = &decl.init else { continue };
            let Some(mut slot) = out.slot(init) else { continue };
            let by_value = !decl.ty.contains('*')
                && !decl.ty.contains('&')
                && !matches!(init.uncast().kind, ExprKind::Unary(b'&', _))
                && (decl.ty.contains("SCSIUserParallel") || &*decl.ty == "auto");
            slot.copy |= by_value;
            out.aliases.insert(&decl.name, slot);
        }
        out
    }

    /// The slot that an expression names.
    pub(in crate::rules) fn slot(&self, e: &Expr) -> Option<Slot> {
        match &e.kind {
            ExprKind::Cast(_, inner) | ExprKind::Unary(b'&' | b'*', inner) => self.slot(inner),
            ExprKind::Name(name) => self.aliases.get(&**name).cloned(),
            ExprKind::Index(base, index) => {
                let side = self.side(base)?;
                Some(Slot { side, index: self.index(index), copy: false })
            }
            ExprKind::Binary(op, base, index) if &**op == "+" => {
                let side = self.side(base)?;
                Some(Slot { side, index: self.index(index), copy: false })
            }
            ExprKind::Call(_, args) if args.len() == 1 => {
                let name = e.callee()?;
                let id = *self.program.by_name.get(name)?.first()?;
                let side = side_of_type(&self.program.functions[id].ret)?;
                Some(Slot { side, index: self.index(&args[0]), copy: false })
            }
            _ => None,
        }
    }

    /// Whether a name is a local, and its type.
    pub(in crate::rules) fn type_of(&self, name: &str) -> Option<&'p str> {
        self.types.get(name).copied()
    }

    /// The text of an index, with locals that are set once replaced by what they are set to.
    pub(in crate::rules) fn index(&self, e: &Expr) -> String {
        let mut at = e.uncast();
        for _ in 0..6 {
            match &at.kind {
                ExprKind::Name(name) if self.inits.contains_key(&**name) => {
                    at = self.inits[&**name].uncast();
                }
                _ => break,
            }
        }
        at.key()
    }

    /// The buffer that an expression is.
    fn side(&self, base: &Expr) -> Option<Side> {
        let base = base.uncast();
        let name = base.last_name()?;
        if let ExprKind::Name(name) = &base.kind
            && let Some(ty) = self.types.get(&**name)
        {
            return side_of_array(ty)
                .or_else(|| self.inits.get(&**name).and_then(|init| cast_side(init)));
        }
        self.program.field_types.get(name)?.iter().find_map(|ty| side_of_array(ty))
    }
}

fn side_of_type(ty: &str) -> Option<Side> {
    if ty.contains("SCSIUserParallelResponse") {
        Some(Side::Response)
    } else if ty.contains("SCSIUserParallelTask") {
        Some(Side::Command)
    } else {
        None
    }
}

fn side_of_array(ty: &str) -> Option<Side> {
    if ty.contains('*') { side_of_type(ty) } else { None }
}

fn cast_side(init: &Expr) -> Option<Side> {
    match &init.kind {
        ExprKind::Cast(ty, _) => side_of_array(ty),
        _ => None,
    }
}
