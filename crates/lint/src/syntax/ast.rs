//! The syntax tree that the rules read: expressions, statements, functions, classes.

use std::rc::Rc;

use crate::source::{FileId, Place, Span};

/// An interned word or a piece of normalised text.
pub(crate) type Name = Rc<str>;

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) span: Span,
    pub(crate) kind: ExprKind,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// A name, qualified or not.
    Name(Name),
    Num(u64),
    Str(Name),
    /// `.` or `->`.
    Member(Box<Expr>, Name),
    Index(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    /// `=` has an empty operator; `+=` has `+`.
    Assign(Name, Box<Expr>, Box<Expr>),
    Step {
        prefix: bool,
        up: bool,
        of: Box<Expr>,
    },
    Unary(u8, Box<Expr>),
    Binary(Name, Box<Expr>, Box<Expr>),
    Cond(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A cast; the type's text without spaces.
    Cast(Name, Box<Expr>),
    /// A lambda or a block; index into the file's function list.
    Lambda(Rc<Function>),
    List(Vec<Expr>),
    /// `.field = value` in an initialiser.
    Pair(Name, Box<Expr>),
    /// `new T(args)`.
    Other(Vec<Expr>),
}

/// A declared variable.
#[derive(Clone, Debug)]
pub(crate) struct Decl {
    /// The type's text without spaces, with `*`, `&` and `[]` of the declarator.
    pub(crate) ty: Name,
    pub(crate) name: Name,
    pub(crate) name_span: Span,
    pub(crate) size: Option<Expr>,
    pub(crate) init: Option<Expr>,
    pub(crate) is_static: bool,
}

/// A statement.
#[derive(Clone, Debug)]
pub(crate) struct Stmt {
    pub(crate) span: Span,
    pub(crate) kind: StmtKind,
}

/// What a statement is.
#[derive(Clone, Debug)]
pub(crate) enum StmtKind {
    Expr(Expr),
    Decl(Decl),
    If {
        arms: Vec<(Expr, Vec<Stmt>)>,
        otherwise: Option<Vec<Stmt>>,
    },
    Loop {
        init: Vec<Stmt>,
        cond: Option<Expr>,
        step: Option<Expr>,
        body: Vec<Stmt>,
        post: bool,
    },
    Each {
        var: Decl,
        range: Expr,
        body: Vec<Stmt>,
    },
    Switch {
        on: Expr,
        arms: Vec<Vec<Stmt>>,
        default: bool,
    },
    Return(Option<Expr>),
    Break,
    Continue,
    Goto(Name),
    Label(Name),
    Block(Vec<Stmt>),
    /// Alternatives of conditional compilation.
    Either(Vec<Vec<Stmt>>),
}

/// A parameter.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(crate) ty: Name,
    pub(crate) name: Name,
}

/// A function, method, macro, lambda or block with its body.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) class: Option<Name>,
    pub(crate) name: Name,
    pub(crate) ret: Name,
    pub(crate) params: Vec<Param>,
    /// Parameters were written; `IMPL(Class, Method)` alone has none.
    pub(crate) params_written: bool,
    pub(crate) body: Vec<Stmt>,
    pub(crate) file: FileId,
    pub(crate) span: Span,
    pub(crate) name_span: Span,
    pub(crate) is_macro: bool,
}

impl Function {
    /// Where the name stands.
    pub(crate) fn place(&self) -> Place {
        Place::new(self.file, self.name_span)
    }

    /// The name as people write it.
    pub(crate) fn title(&self) -> String {
        match &self.class {
            Some(class) => format!("{class}::{}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// A method declaration in a class body.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) name: Name,
    pub(crate) params: Vec<Param>,
    pub(crate) span: Span,
    pub(crate) name_span: Span,
}

/// A class or struct with a body.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) name: Name,
    pub(crate) bases: Vec<Name>,
    pub(crate) methods: Vec<Method>,
    pub(crate) fields: Vec<Decl>,
    pub(crate) file: FileId,
    pub(crate) name_span: Span,
}

/// Everything that one file declares.
#[derive(Default)]
pub(crate) struct Unit {
    pub(crate) classes: Vec<Class>,
    pub(crate) functions: Vec<Function>,
    /// File-scope variables, and enumerators as variables with a value.
    pub(crate) globals: Vec<Decl>,
    /// Parts that could not be read.
    pub(crate) skipped: Vec<(u32, String)>,
}

impl Expr {
    /// The name called: `f` of `f(x)`, `m` of `a->m(x)`, with qualifiers left out.
    pub(crate) fn callee(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Call(callee, _) => callee.last_name(),
            _ => None,
        }
    }

    /// The arguments, if this is a call.
    pub(crate) fn args(&self) -> &[Self] {
        match &self.kind {
            ExprKind::Call(_, args) => args,
            _ => &[],
        }
    }

    /// The object a method is called on.
    pub(crate) fn receiver(&self) -> Option<&Self> {
        match &self.kind {
            ExprKind::Call(callee, _) => match &callee.kind {
                ExprKind::Member(base, _) => Some(base),
                _ => None,
            },
            _ => None,
        }
    }

    /// The last word of a name or member chain.
    pub(crate) fn last_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => Some(name.rsplit("::").next().unwrap_or(name)),
            ExprKind::Member(_, name) => Some(name),
            _ => None,
        }
    }

    /// The qualifier of a called or named thing: `IODispatchQueue` of `IODispatchQueue::Create`.
    pub(crate) fn qualifier(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(name) => name.rsplit_once("::").map(|(q, _)| q),
            ExprKind::Call(callee, _) => callee.qualifier(),
            _ => None,
        }
    }

    /// The expression without casts, `&` and `*` around it.
    pub(crate) fn peeled(&self) -> &Self {
        let mut at = self;
        loop {
            match &at.kind {
                ExprKind::Cast(_, inner) | ExprKind::Unary(b'&' | b'*', inner) => at = inner,
                ExprKind::List(items) if items.len() == 1 => at = &items[0],
                _ => return at,
            }
        }
    }

    /// The expression without casts around it.
    pub(crate) fn uncast(&self) -> &Self {
        let mut at = self;
        while let ExprKind::Cast(_, inner) = &at.kind {
            at = inner;
        }
        at
    }

    /// Whether a member of any of these names is called on an object, or a function of these names.
    pub(crate) fn calls(&self, names: &[&str]) -> bool {
        self.callee().is_some_and(|name| names.contains(&name))
    }

    /// A text that is equal for expressions that name the same thing: `ivars->` and `this->` are left out.
    pub(crate) fn key(&self) -> String {
        let mut out = String::new();
        self.write_key(&mut out, 0);
        out
    }

    fn write_key(&self, out: &mut String, depth: usize) {
        if depth > 40 || out.len() > 400 {
            out.push('?');
            return;
        }
        let depth = depth + 1;
        match &self.kind {
            ExprKind::Name(name) => out.push_str(name),
            ExprKind::Num(value) => out.push_str(&value.to_string()),
            ExprKind::Str(text) => {
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
            ExprKind::Member(base, name) => {
                let plain =
                    matches!(&base.kind, ExprKind::Name(n) if matches!(&**n, "this" | "ivars"));
                let nested = matches!(&base.kind, ExprKind::Member(b, n) if &**n == "ivars"
                    && matches!(&b.kind, ExprKind::Name(t) if &**t == "this"));
                if !plain && !nested {
                    base.write_key(out, depth);
                    out.push('.');
                }
                out.push_str(name);
            }
            ExprKind::Index(base, index) => {
                base.write_key(out, depth);
                out.push('[');
                index.write_key(out, depth);
                out.push(']');
            }
            ExprKind::Call(callee, args) => {
                callee.write_key(out, depth);
                out.push('(');
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    arg.write_key(out, depth);
                }
                out.push(')');
            }
            ExprKind::Cast(_, inner) => inner.write_key(out, depth),
            ExprKind::Unary(b'&' | b'*', inner) => inner.write_key(out, depth),
            ExprKind::Unary(op, inner) => {
                out.push(*op as char);
                inner.write_key(out, depth);
            }
            ExprKind::Step { prefix, up, of } => {
                of.write_key(out, depth);
                out.push_str(if *up { "++" } else { "--" });
                if *prefix {
                    out.push('<');
                }
            }
            ExprKind::Binary(op, lhs, rhs) | ExprKind::Assign(op, lhs, rhs) => {
                lhs.write_key(out, depth);
                out.push_str(op);
                if matches!(self.kind, ExprKind::Assign(..)) {
                    out.push('=');
                }
                rhs.write_key(out, depth);
            }
            ExprKind::Cond(cond, yes, no) => {
                cond.write_key(out, depth);
                out.push('?');
                yes.write_key(out, depth);
                out.push(':');
                no.write_key(out, depth);
            }
            ExprKind::List(items) | ExprKind::Other(items) => {
                for item in items {
                    item.write_key(out, depth);
                    out.push(' ');
                }
            }
            ExprKind::Pair(_, value) => value.write_key(out, depth),
            ExprKind::Lambda(_) => out.push('^'),
        }
    }
}
