//! A small syntax tree of the C++ that drivers are written in, and its lowering from the tree-sitter tree.

pub(crate) mod ast;
mod lower;
mod lower_decl;
mod lower_stmt;
pub(crate) mod parse;
pub(crate) mod walk;
