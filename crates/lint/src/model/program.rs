//! All sources of one run as one program.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::source::{FileId, Place, Skipped, Sources, Span};
use crate::syntax::ast::{Class, Expr, Function, Name, Param, StmtKind};
use crate::syntax::parse::FileParser;
use crate::syntax::walk;

use super::framework;

/// An attribute of a declared method: `QUEUENAME(x)`, `TYPE(x)`, `LOCALONLY`.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) argument: String,
    pub(crate) place: Place,
}

/// A method of a controller class as declared.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredMethod {
    pub(crate) name: Name,
    pub(crate) queue: Option<Attribute>,
    pub(crate) action_type: Option<Attribute>,
}

/// A class that derives from the framework's controller.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    pub(crate) name: Name,
    /// Where the class is declared; `None` if only its methods were seen.
    pub(crate) declared: Option<Place>,
    pub(crate) methods: Vec<DeclaredMethod>,
    /// The class derives from another class of the program that derives from the framework's.
    pub(crate) indirect: bool,
}

impl Controller {
    /// The declaration of a method.
    pub(crate) fn method(&self, name: &str) -> Option<&DeclaredMethod> {
        self.methods.iter().find(|m| &*m.name == name)
    }
}

/// A file-scope constant, an enumerator or an object-like macro.
#[derive(Clone, Debug)]
pub(crate) struct Global {
    pub(crate) file: FileId,
    pub(crate) init: Option<Expr>,
}

/// Most definitions of one method that are looked at.
const MAX_BODIES: usize = 4;

/// Index of a function in a [`Program`].
pub(crate) type FnId = usize;

/// The whole program.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) functions: Vec<Function>,
    pub(crate) classes: Vec<Class>,
    pub(crate) controllers: Vec<Controller>,
    /// Classes that derive from the kernel's controller.
    pub(crate) kexts: Vec<Class>,
    pub(crate) globals: BTreeMap<Name, Global>,
    pub(crate) by_name: HashMap<Name, Vec<FnId>>,
    /// Names of the parameters and locals of each function.
    pub(crate) locals: Vec<HashSet<Name>>,
    /// Types of all fields of a name, over all classes.
    pub(crate) field_types: HashMap<Name, Vec<Name>>,
    /// Queue names bound by any class of the program.
    pub(crate) bound_queues: HashSet<String>,
    pub(crate) comments: HashMap<FileId, Vec<Span>>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Program {
    /// Parses all C++ files.
    pub(crate) fn build(sources: &Sources) -> Self {
        let mut out = Self::default();
        let Some(mut parser) = FileParser::new() else {
            let reason = "the C++ grammar cannot be loaded".to_owned();
            out.skipped.push(Skipped { path: "outboard-lint".to_owned(), line: None, reason });
            return out;
        };
        let mut attributes: Vec<(FileId, crate::text::mask::MacroUse)> = Vec::new();
        for (id, file) in sources.iter().filter(|(_, f)| f.kind.is_code()) {
            let parsed = parser.parse(id, file);
            attributes.extend(parsed.masked_macros.into_iter().map(|m| (id, m)));
            out.comments.insert(id, parsed.comments);
            out.functions.extend(parsed.unit.functions);
            out.classes.extend(parsed.unit.classes);
            for global in parsed.unit.globals {
                if global.init.is_some() {
                    let known = Global { file: id, init: global.init };
                    out.globals.entry(global.name).or_insert(known);
                }
            }
            for (at, reason) in parsed.unit.skipped {
                let line = Some(file.line_column(at).0);
                out.skipped.push(Skipped { path: file.path.clone(), line, reason });
            }
        }
        for class in &out.classes {
            for field in &class.fields {
                let types = out.field_types.entry(field.name.clone()).or_default();
                if !types.contains(&field.ty) {
                    types.push(field.ty.clone());
                }
            }
        }
        for (_, attribute) in attributes.iter().filter(|(_, a)| a.name == "QUEUENAME") {
            out.bound_queues.insert(attribute.argument.clone());
        }
        out.find_controllers(&attributes);
        out.name_params();
        out.locals = out.functions.iter().map(locals).collect();
        for (i, function) in out.functions.iter().enumerate() {
            out.by_name.entry(function.name.clone()).or_default().push(i);
        }
        out
    }

    /// The definition of a controller's method.
    pub(crate) fn body(&self, controller: &Controller, name: &str) -> Option<FnId> {
        self.bodies(controller, name).next()
    }

    /// All definitions of a controller's method; conditional compilation may give several.
    pub(crate) fn bodies<'a>(
        &'a self,
        controller: &'a Controller,
        name: &str,
    ) -> impl Iterator<Item = FnId> + 'a {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .copied()
            .filter(|id| self.functions[*id].class.as_deref() == Some(&*controller.name))
            .take(MAX_BODIES)
    }

    fn find_controllers(&mut self, attributes: &[(FileId, crate::text::mask::MacroUse)]) {
        let mut by_file: HashMap<FileId, Vec<&crate::text::mask::MacroUse>> = HashMap::new();
        for (file, attribute) in attributes {
            by_file.entry(*file).or_default().push(attribute);
        }
        let bases: HashMap<&str, &Class> = self.classes.iter().map(|c| (&*c.name, c)).collect();
        let mut found: Vec<Controller> = Vec::new();
        let mut kexts = Vec::new();
        for class in &self.classes {
            match root_of(class, &bases) {
                Some((framework::CONTROLLER, depth)) => {
                    let controller = declared(class, depth > 1, by_file.get(&class.file));
                    match found.iter_mut().find(|c| c.name == controller.name) {
                        Some(known) if known.methods.len() >= controller.methods.len() => {}
                        Some(known) => *known = controller,
                        None => found.push(controller),
                    }
                }
                Some((framework::KEXT_CONTROLLER, _)) => kexts.push(class.clone()),
                _ => {}
            }
        }
        self.kexts = kexts;
        let mut counts: HashMap<Name, HashSet<&str>> = HashMap::new();
        for function in &self.functions {
            if let (Some(class), Some(method)) =
                (&function.class, framework::method(&function.name))
            {
                counts.entry(class.clone()).or_default().insert(method.name);
            }
            if let Some(class) = &function.class
                && calls_framework(function)
            {
                counts.entry(class.clone()).or_default();
            }
        }
        let declared_classes: HashSet<&str> = self.classes.iter().map(|c| &*c.name).collect();
        let mut implied: Vec<Name> = counts
            .into_iter()
            .filter(|(name, _)| !declared_classes.contains(&**name))
            .map(|(name, _)| name)
            .collect();
        implied.sort();
        for name in implied {
            found.push(Controller { name, declared: None, methods: Vec::new(), indirect: false });
        }
        self.controllers = found;
    }

    /// `IMPL(Class, Method)` writes no parameters; they come from the declaration or the framework.
    fn name_params(&mut self) {
        for function in &mut self.functions {
            if function.params_written || !function.params.is_empty() {
                continue;
            }
            let Some(class) = function.class.clone() else { continue };
            let declared = self
                .classes
                .iter()
                .filter(|c| c.name == class)
                .flat_map(|c| &c.methods)
                .find(|m| m.name == function.name && !m.params.is_empty());
            let known = framework::method(&function.name).map(|m| m.params).or_else(|| {
                let service = framework::SERVICE_METHODS.iter();
                service.clone().find(|(n, _)| *n == &*function.name).map(|(_, p)| *p)
            });
            function.params = match (declared, known) {
                (Some(method), _) => method.params.clone(),
                (None, Some(names)) => names.iter().map(|n| plain_param(n)).collect(),
                (None, None) => Vec::new(),
            };
            // A parameter that the declaration leaves unnamed keeps the framework's name.
            for (param, name) in function.params.iter_mut().zip(known.unwrap_or(&[])) {
                if param.name.is_empty() {
                    param.name = (*name).into();
                }
            }
        }
    }
}

fn locals(function: &Function) -> HashSet<Name> {
    let mut out: HashSet<Name> = function.params.iter().map(|p| p.name.clone()).collect();
    walk::stmts(&function.body, &mut |stmt| {
        if let StmtKind::Decl(decl) = &stmt.kind {
            out.insert(decl.name.clone());
        }
    });
    out
}

/// Whether a method calls a service of the framework's class on itself.
fn calls_framework(function: &Function) -> bool {
    let mut found = false;
    walk::exprs(&function.body, &mut |e| {
        found |= e.receiver().is_none()
            && e.qualifier().is_none()
            && e.callee().is_some_and(|n| framework::method(n).is_some());
    });
    found
}

fn plain_param(name: &str) -> Param {
    Param { ty: "".into(), name: name.into() }
}

/// The framework class at the root of a class, and how many steps up it is.
fn root_of(class: &Class, all: &HashMap<&str, &Class>) -> Option<(&'static str, usize)> {
    let mut at = class;
    for depth in 1..12 {
        for base in &at.bases {
            let base = base.rsplit("::").next().unwrap_or(base);
            for root in [framework::CONTROLLER, framework::KEXT_CONTROLLER] {
                if base == root {
                    return Some((root, depth));
                }
            }
        }
        at = at.bases.iter().find_map(|base| all.get(&**base))?;
    }
    None
}

fn declared(
    class: &Class,
    indirect: bool,
    attributes: Option<&Vec<&crate::text::mask::MacroUse>>,
) -> Controller {
    let attribute = |span: Span, name: &str| {
        let list = attributes?;
        let first = list.partition_point(|a| a.span.start < span.start);
        let found = list[first..].iter().take_while(|a| a.span.start < span.end);
        found.into_iter().find(|a| a.name == name).map(|a| Attribute {
            argument: a.argument.clone(),
            place: Place::new(class.file, a.span),
        })
    };
    let methods = class
        .methods
        .iter()
        .map(|m| DeclaredMethod {
            name: m.name.clone(),
            queue: attribute(m.span, "QUEUENAME"),
            action_type: attribute(m.span, "TYPE"),
        })
        .collect();
    Controller {
        name: class.name.clone(),
        declared: Some(Place::new(class.file, class.name_span)),
        methods,
        indirect,
    }
}
