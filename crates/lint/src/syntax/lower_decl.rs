//! Declarations: classes, functions, variables, enumerators.

use tree_sitter::Node;

use crate::source::Span;
use crate::syntax::ast::{Class, Decl, Expr, ExprKind, Function, Method, Name, Param};
use crate::syntax::lower::Lower;
use crate::text::mask::ImplUse;

/// What a declarator says about a name.
struct Declarator<'t> {
    name: Option<Node<'t>>,
    suffix: String,
    size: Option<Node<'t>>,
    function: Option<Node<'t>>,
}

impl Lower<'_> {
    /// Lowers every item below `node`.
    pub(super) fn items(&mut self, node: Node<'_>, class: Option<&Name>) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.item(child, class);
        }
    }

    /// Lowers a top-level item; `class` is the class whose body it stands in.
    pub(super) fn item(&mut self, node: Node<'_>, class: Option<&Name>) {
        if !self.enter(node) {
            return;
        }
        match node.kind() {
            "function_definition" => {
                if let Some(function) = self.function(node, class) {
                    self.unit.functions.push(function);
                }
                if let Some(ty) = node.child_by_field_name("type") {
                    self.specifier(ty, None);
                }
            }
            "class_specifier" | "struct_specifier" | "union_specifier" | "enum_specifier" => {
                self.specifier(node, None);
            }
            "declaration" => {
                let mut decls = Vec::new();
                self.declaration(node, &mut decls, false);
                self.unit.globals.append(&mut decls);
            }
            "type_definition" => {
                if let Some(ty) = node.child_by_field_name("type") {
                    let name = node.child_by_field_name("declarator").map(|d| self.word(d));
                    self.specifier(ty, name);
                }
            }
            "template_declaration"
            | "linkage_specification"
            | "namespace_definition"
            | "declaration_list"
            | "preproc_if"
            | "preproc_ifdef"
            | "preproc_else"
            | "preproc_elif"
            | "preproc_elifdef" => self.items(node, class),
            "ERROR" => {
                self.skip(node, "not understood, not read");
                self.items(node, class);
            }
            _ => {}
        }
        self.leave();
    }

    /// A class, struct or enum body.
    fn specifier(&mut self, node: Node<'_>, alias: Option<Name>) {
        let Some(body) = node.child_by_field_name("body") else { return };
        if node.kind() == "enum_specifier" {
            self.enumerators(body);
            return;
        }
        let name_node = node.child_by_field_name("name");
        let name = match (name_node, alias) {
            (Some(name), _) => self.squeezed(name),
            (None, Some(alias)) => alias,
            (None, None) => self.name(""),
        };
        let mut class = Class {
            name,
            bases: Vec::new(),
            methods: Vec::new(),
            fields: Vec::new(),
            file: self.id,
            name_span: self.span(name_node.unwrap_or(node)),
        };
        let mut cursor = node.walk();
        for clause in node.named_children(&mut cursor).filter(|n| n.kind() == "base_class_clause") {
            let mut inner = clause.walk();
            for base in clause.named_children(&mut inner) {
                if matches!(
                    base.kind(),
                    "type_identifier" | "qualified_identifier" | "template_type"
                ) {
                    class.bases.push(self.squeezed(base));
                }
            }
        }
        self.members(body, &mut class);
        self.unit.classes.push(class);
    }

    fn members(&mut self, body: Node<'_>, class: &mut Class) {
        let mut cursor = body.walk();
        let members: Vec<Node<'_>> = body.named_children(&mut cursor).collect();
        for member in members {
            match member.kind() {
                "field_declaration" | "declaration" => self.member(member, class),
                "function_definition" => {
                    let name = class.name.clone();
                    if let Some(function) = self.function(member, Some(&name)) {
                        class.methods.push(Method {
                            name: function.name.clone(),
                            params: function.params.clone(),
                            span: function.span,
                            name_span: function.name_span,
                        });
                        self.unit.functions.push(function);
                    } else if let Some(method) = self.method(member) {
                        class.methods.push(method);
                    }
                }
                "template_declaration"
                | "preproc_if"
                | "preproc_ifdef"
                | "preproc_else"
                | "preproc_elif"
                | "ERROR" => {
                    if member.kind() == "ERROR" {
                        self.skip(member, "not understood, not read");
                    }
                    if self.enter(member) {
                        self.members(member, class);
                        self.leave();
                    }
                }
                "class_specifier" | "struct_specifier" | "enum_specifier" => {
                    self.item(member, None);
                }
                _ => {}
            }
        }
    }

    fn member(&mut self, node: Node<'_>, class: &mut Class) {
        if let Some(ty) = node.child_by_field_name("type") {
            self.specifier(ty, None);
        }
        if let Some(method) = self.method(node) {
            class.methods.push(method);
            return;
        }
        let mut decls = Vec::new();
        self.declaration(node, &mut decls, false);
        let constant = decls.iter().filter(|d| d.init.is_some() && d.is_static).cloned();
        self.unit.globals.extend(constant);
        class.fields.append(&mut decls);
    }

    fn method(&mut self, node: Node<'_>) -> Option<Method> {
        let declarator = declarator(node.child_by_field_name("declarator")?);
        let function = declarator.function?;
        let name = declarator.name?;
        let params = function.child_by_field_name("parameters").map(|p| self.params(p));
        Some(Method {
            name: self.word(name),
            params: params.unwrap_or_default(),
            span: self.span(node),
            name_span: self.span(name),
        })
    }

    /// The variables of a declaration. In a body, `T x(a)` is a variable.
    pub(super) fn declaration(&mut self, node: Node<'_>, out: &mut Vec<Decl>, in_body: bool) {
        let Some(ty_node) = node.child_by_field_name("type") else { return };
        self.specifier(ty_node, None);
        let base = self.squeezed(ty_node);
        let head = self.text(node);
        let before = head.split(['=', ';', '{', '(']).next().unwrap_or("");
        let is_static = before.split_whitespace().any(|w| matches!(w, "static" | "constexpr"));
        let mut cursor = node.walk();
        let declarators: Vec<Node<'_>> =
            node.children_by_field_name("declarator", &mut cursor).collect();
        for d in declarators {
            let (inner, value) = if d.kind() == "init_declarator" {
                (d.child_by_field_name("declarator").unwrap_or(d), d.child_by_field_name("value"))
            } else {
                (d, node.child_by_field_name("default_value"))
            };
            let found = declarator(inner);
            let Some(name) = found.name else { continue };
            let mut init = value.map(|v| self.expr(v));
            if let Some(function) = found.function
                && init.is_none()
            {
                let looks_called = name.kind() == "identifier" && found.suffix.is_empty();
                if !in_body || !looks_called {
                    continue;
                }
                init = Some(self.constructor_args(function));
            }
            let size = found.size.map(|s| self.expr(s));
            out.push(Decl {
                ty: self.name(&format!("{base}{}", found.suffix)),
                name: self.word(name),
                name_span: self.span(name),
                size,
                init,
                is_static,
            });
        }
    }

    /// `Guard g(lock)` reads like a function declaration; its parameter types are the arguments.
    fn constructor_args(&mut self, function: Node<'_>) -> Expr {
        let mut args = Vec::new();
        if let Some(params) = function.child_by_field_name("parameters") {
            let mut cursor = params.walk();
            for param in params.named_children(&mut cursor) {
                if let Some(ty) = param.child_by_field_name("type") {
                    let kind = ExprKind::Name(self.squeezed(ty));
                    args.push(Expr { span: self.span(param), kind });
                }
            }
        }
        Expr { span: self.span(function), kind: ExprKind::List(args) }
    }

    fn enumerators(&mut self, body: Node<'_>) {
        let ty = self.name("constexpr enum");
        let mut previous: Option<Name> = None;
        let mut cursor = body.walk();
        let list: Vec<Node<'_>> = body.named_children(&mut cursor).collect();
        for node in list.into_iter().filter(|n| n.kind() == "enumerator") {
            let Some(name_node) = node.child_by_field_name("name") else { continue };
            let span = self.span(node);
            let num = |value| Expr { span, kind: ExprKind::Num(value) };
            let init = match (node.child_by_field_name("value"), &previous) {
                (Some(value), _) => self.expr(value),
                (None, None) => num(0),
                (None, Some(before)) => {
                    let before = Expr { span, kind: ExprKind::Name(before.clone()) };
                    let plus = self.name("+");
                    let kind = ExprKind::Binary(plus, Box::new(before), Box::new(num(1)));
                    Expr { span, kind }
                }
            };
            let name = self.word(name_node);
            previous = Some(name.clone());
            self.unit.globals.push(Decl {
                ty: ty.clone(),
                name,
                name_span: self.span(name_node),
                size: None,
                init: Some(init),
                is_static: true,
            });
        }
    }

    /// A function with its body.
    fn function(&mut self, node: Node<'_>, class: Option<&Name>) -> Option<Function> {
        let body = node.child_by_field_name("body")?;
        let found = declarator(node.child_by_field_name("declarator")?);
        let name_node = found.name?;
        let function = found.function?;
        let mut name_span = self.span(name_node);
        let impl_use = self.impl_use(name_span);
        let full = self.squeezed(name_node);
        let (class, name) = match full.rsplit_once("::") {
            Some((scope, name)) => {
                (Some(self.name(scope.rsplit("::").next().unwrap_or(scope))), name.to_owned())
            }
            None => (class.cloned(), full.to_string()),
        };
        let name = name.strip_suffix("_Impl").filter(|_| class.is_some()).unwrap_or(&name);
        let params = function.child_by_field_name("parameters").map(|p| self.params(p));
        let params = params.unwrap_or_default();
        let params_written = impl_use.is_none() || !params.is_empty();
        if let Some(found) = impl_use {
            name_span = found.method;
        }
        let ret = node.child_by_field_name("type").map(|t| self.squeezed(t));
        let ret = format!("{}{}", ret.as_deref().unwrap_or("void"), found.suffix);
        Some(Function {
            class,
            name: self.name(name),
            ret: self.name(&ret),
            params,
            params_written,
            body: self.block_of(body),
            file: self.id,
            span: self.span(node),
            name_span,
            is_macro: false,
        })
    }

    /// The `IMPL` head that a name was made of.
    fn impl_use(&self, name: Span) -> Option<ImplUse> {
        let after = self.masked.impls.partition_point(|u| u.span.start <= name.start);
        let head = self.masked.impls.get(after.checked_sub(1)?)?;
        head.span.contains(name).then(|| head.clone())
    }

    pub(super) fn params(&mut self, node: Node<'_>) -> Vec<Param> {
        let mut out = Vec::new();
        let mut cursor = node.walk();
        let list: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        for param in list {
            let Some(ty) = param.child_by_field_name("type") else { continue };
            let ty = self.squeezed(ty);
            let Some(d) = param.child_by_field_name("declarator") else {
                out.push(Param { ty, name: self.name("") });
                continue;
            };
            let found = declarator(d);
            let name = match found.name {
                Some(name) => self.word(name),
                None => self.name(""),
            };
            out.push(Param { ty: self.name(&format!("{ty}{}", found.suffix)), name });
        }
        if let [only] = out.as_slice()
            && &*only.ty == "void"
        {
            out.clear();
        }
        out
    }
}

/// Follows a declarator to its name.
fn declarator(start: Node<'_>) -> Declarator<'_> {
    let mut out = Declarator { name: None, suffix: String::new(), size: None, function: None };
    let mut at = start;
    for _ in 0..64 {
        let next = match at.kind() {
            "pointer_declarator" | "abstract_pointer_declarator" => {
                out.suffix.push('*');
                at.child_by_field_name("declarator")
            }
            "reference_declarator" | "abstract_reference_declarator" => {
                out.suffix.push('&');
                at.named_child(0)
            }
            "array_declarator" | "abstract_array_declarator" => {
                out.suffix.push_str("[]");
                out.size = at.child_by_field_name("size");
                at.child_by_field_name("declarator")
            }
            "parenthesized_declarator" | "attributed_declarator" => at.named_child(0),
            "init_declarator" => at.child_by_field_name("declarator"),
            "function_declarator" => {
                out.function = Some(at);
                at.child_by_field_name("declarator")
            }
            "identifier"
            | "field_identifier"
            | "qualified_identifier"
            | "type_identifier"
            | "destructor_name"
            | "operator_name" => {
                out.name = Some(at);
                None
            }
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    out
}
