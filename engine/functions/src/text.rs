//! Functions of text.

pub(super) mod characters;
pub(super) mod concat;
pub(super) mod locate;
pub(super) mod pad;
pub(super) mod printf;
pub(super) mod replace;
pub(super) mod split;
pub(super) mod substring;
