//! The model of a driver: classes, functions, constants, calls, queues, paths.

pub(crate) mod consts;
pub(crate) mod flow;
pub(crate) mod framework;
pub(crate) mod graph;
pub(crate) mod program;
pub(crate) mod queues;
