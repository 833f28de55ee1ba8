//! Tables of panes that were dropped, which serve panes to come: where windows are small, making tables would cost more than filling
//! them.

use super::group_table::GroupTable;

/// Larger tables are not kept.
const SMALL_TABLE: usize = 4096;
/// So many groups all tables have had together, at most: many small windows close at a time.
const MOST_GROUPS: usize = 8 * SMALL_TABLE;
/// A table counts as if it had so many groups at least.
const LEAST_GROUPS: usize = 64;

/// Empty tables that have memory.
#[derive(Default)]
pub(super) struct SpareTables {
    /// Each with what it counts as.
    tables: Vec<(GroupTable, usize)>,
    groups: usize,
}

impl SpareTables {
    /// Takes one out.
    pub(super) fn take(&mut self) -> Option<GroupTable> {
        let (table, groups) = self.tables.pop()?;
        self.groups -= groups;
        Some(table)
    }

    /// Empties a table and keeps it, if there is room.
    pub(super) fn keep(&mut self, mut table: GroupTable) {
        let groups = table.len().max(LEAST_GROUPS);
        if groups <= SMALL_TABLE && self.groups + groups <= MOST_GROUPS {
            table.clear();
            self.tables.push((table, groups));
            self.groups += groups;
        }
    }
}
