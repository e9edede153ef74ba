//! Values of constant expressions: numbers, strings, returned codes.

use crate::syntax::ast::{Expr, ExprKind, Function, StmtKind};
use crate::syntax::walk;

use super::framework;
use super::program::Program;

/// Longest chain of names that is followed.
const MAX_STEPS: usize = 24;
/// Longest function, in bytes, whose locals are looked up.
const MAX_SCOPE: u32 = 60_000;

impl Program {
    /// The value of an expression that is constant; `scope` gives its locals.
    pub(crate) fn number(&self, expr: &Expr, scope: Option<&Function>) -> Option<u64> {
        self.number_at(expr, scope, 0)
    }

    fn number_at(&self, expr: &Expr, scope: Option<&Function>, steps: usize) -> Option<u64> {
        if steps > MAX_STEPS {
            return None;
        }
        let again = |e: &Expr| self.number_at(e, scope, steps + 1);
        match &expr.kind {
            ExprKind::Num(value) => Some(*value),
            ExprKind::Name(name) => {
                let word = name.rsplit("::").next().unwrap_or(name);
                if let Some(function) = scope
                    && let Some(init) = constant_local(function, word)
                {
                    return again(init);
                }
                if let Some(global) = self.globals.get(word) {
                    return self.number_at(global.init.as_ref()?, None, steps + 1);
                }
                framework::constant(word)
            }
            ExprKind::Cast(ty, inner) => {
                let value = again(inner)?;
                Some(match ty.trim_start_matches("const") {
                    "uint8_t" | "UInt8" => value & 0xff,
                    "uint16_t" | "UInt16" => value & 0xffff,
                    "uint32_t" | "UInt32" | "unsigned" | "unsignedint" => value & 0xffff_ffff,
                    _ => value,
                })
            }
            ExprKind::List(items) if items.len() == 1 => again(&items[0]),
            ExprKind::Unary(b'-', inner) => Some(again(inner)?.wrapping_neg()),
            ExprKind::Unary(b'~', inner) => Some(!again(inner)?),
            ExprKind::Unary(b'+', inner) => again(inner),
            ExprKind::Unary(b'!', inner) => Some(u64::from(again(inner)? == 0)),
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (again(a)?, again(b)?);
                match &**op {
                    "+" => a.checked_add(b),
                    "-" => a.checked_sub(b),
                    "*" => a.checked_mul(b),
                    "/" => a.checked_div(b),
                    "%" => a.checked_rem(b),
                    "<<" => a.checked_shl(u32::try_from(b).ok()?),
                    ">>" => a.checked_shr(u32::try_from(b).ok()?),
                    "|" => Some(a | b),
                    "&" => Some(a & b),
                    "^" => Some(a ^ b),
                    _ => None,
                }
            }
            ExprKind::Call(_, args) if args.is_empty() => {
                // `constexpr uint32_t Count() { return 64; }`
                let name = expr.callee()?;
                let [only] = self.by_name.get(name)?.as_slice() else { return None };
                let function = &self.functions[*only];
                match function.body.as_slice() {
                    [stmt] => match &stmt.kind {
                        StmtKind::Return(Some(value)) => self.number_at(value, None, steps + 1),
                        _ => None,
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The text of a string constant.
    pub(crate) fn string(&self, expr: &Expr, scope: Option<&Function>) -> Option<String> {
        let mut at = expr;
        for _ in 0..MAX_STEPS {
            match &at.kind {
                ExprKind::Str(text) => return Some(text.to_string()),
                ExprKind::Cast(_, inner) => at = inner,
                ExprKind::List(items) if items.len() == 1 => at = &items[0],
                ExprKind::Name(name) => {
                    let word = name.rsplit("::").next().unwrap_or(name);
                    if word == "kIOServiceDefaultQueueName" {
                        return Some(framework::DEFAULT_QUEUE.to_owned());
                    }
                    at = match scope.and_then(|f| constant_local(f, word)) {
                        Some(init) => init,
                        None => self.globals.get(word)?.init.as_ref()?,
                    };
                }
                _ => return None,
            }
        }
        None
    }
}

/// The initial value of a local that is never assigned again.
fn constant_local<'a>(function: &'a Function, name: &str) -> Option<&'a Expr> {
    // Looking through a body once per name must stay cheap.
    if function.span.end - function.span.start > MAX_SCOPE {
        return None;
    }
    let mut init = None;
    let mut count = 0;
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind
            && &*decl.name == name
        {
            count += 1;
            init = decl.init.as_ref();
        }
    });
    if count != 1 || init.is_none() {
        return None;
    }
    let mut changed = false;
    walk::exprs(&function.body, &mut |e| match &e.kind {
        ExprKind::Assign(_, lhs, _) => changed |= is_name(lhs, name),
        ExprKind::Step { of, .. } => changed |= is_name(of, name),
        ExprKind::Unary(b'&', of) => changed |= is_name(of, name),
        _ => {}
    });
    if changed { None } else { init }
}

fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(&expr.kind, ExprKind::Name(n) if &**n == name)
}
