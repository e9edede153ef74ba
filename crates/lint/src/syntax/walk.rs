//! Visits every expression of a body. Depth is bounded by the lowering, so plain recursion is safe.

use crate::syntax::ast::{Expr, ExprKind, Stmt, StmtKind};

/// Calls `visit` for every expression below `body`, outer ones first; lambdas and blocks are entered too.
pub(crate) fn exprs<'a>(body: &'a [Stmt], visit: &mut dyn FnMut(&'a Expr)) {
    walk(body, true, visit);
}

/// Like [`exprs`], but lambdas and blocks are not entered.
pub(crate) fn exprs_here<'a>(body: &'a [Stmt], visit: &mut dyn FnMut(&'a Expr)) {
    walk(body, false, visit);
}

/// Calls `visit` for every statement below `body`; lambdas and blocks are not entered.
pub(crate) fn stmts<'a>(body: &'a [Stmt], visit: &mut dyn FnMut(&'a Stmt)) {
    for stmt in body {
        visit(stmt);
        for part in bodies(stmt) {
            stmts(part, visit);
        }
    }
}

/// The statement lists directly inside a statement.
pub(crate) fn bodies(stmt: &Stmt) -> Vec<&[Stmt]> {
    match &stmt.kind {
        StmtKind::If { arms, otherwise } => {
            let mut out: Vec<&[Stmt]> = arms.iter().map(|(_, body)| body.as_slice()).collect();
            out.extend(otherwise.as_deref());
            out
        }
        StmtKind::Loop { init, body, .. } => vec![init, body],
        StmtKind::Each { body, .. } | StmtKind::Block(body) => vec![body],
        StmtKind::Switch { arms, .. } | StmtKind::Either(arms) => {
            arms.iter().map(Vec::as_slice).collect()
        }
        _ => Vec::new(),
    }
}

/// The expressions directly inside a statement, without those of inner statements.
pub(crate) fn own_exprs(stmt: &Stmt) -> Vec<&Expr> {
    match &stmt.kind {
        StmtKind::Expr(expr) => vec![expr],
        StmtKind::Decl(decl) => decl.size.iter().chain(&decl.init).collect(),
        StmtKind::If { arms, .. } => arms.iter().map(|(cond, _)| cond).collect(),
        StmtKind::Loop { cond, step, .. } => cond.iter().chain(step).collect(),
        StmtKind::Each { range, .. } => vec![range],
        StmtKind::Switch { on, .. } => vec![on],
        StmtKind::Return(Some(expr)) => vec![expr],
        _ => Vec::new(),
    }
}

/// The expressions directly inside an expression.
pub(crate) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Member(a, _)
        | ExprKind::Unary(_, a)
        | ExprKind::Cast(_, a)
        | ExprKind::Pair(_, a)
        | ExprKind::Step { of: a, .. } => vec![a],
        ExprKind::Index(a, b) | ExprKind::Assign(_, a, b) | ExprKind::Binary(_, a, b) => vec![a, b],
        ExprKind::Call(callee, args) => {
            let mut out: Vec<&Expr> = vec![callee];
            out.extend(args);
            out
        }
        ExprKind::Cond(a, b, c) => vec![a, b, c],
        ExprKind::List(items) | ExprKind::Other(items) => items.iter().collect(),
        ExprKind::Name(_) | ExprKind::Num(_) | ExprKind::Str(_) | ExprKind::Lambda(_) => Vec::new(),
    }
}

/// Calls `visit` for an expression and all below it.
pub(crate) fn expr<'a>(e: &'a Expr, lambdas: bool, visit: &mut dyn FnMut(&'a Expr)) {
    visit(e);
    if let ExprKind::Lambda(f) = &e.kind
        && lambdas
    {
        walk(&f.body, lambdas, visit);
    }
    for child in children(e) {
        expr(child, lambdas, visit);
    }
}

fn walk<'a>(body: &'a [Stmt], lambdas: bool, visit: &mut dyn FnMut(&'a Expr)) {
    stmts(body, &mut |stmt| {
        for e in own_exprs(stmt) {
            expr(e, lambdas, visit);
        }
    });
}
