//! From a query to DataFusion's logical plan over the tables of the catalog, optimised as far as the rules mean the same on a stream.

mod as_of;
mod capitals;
mod comparisons;
mod cross_join;
mod derived_order;
mod duplicates;
mod first_of_each;
mod frame_bounds;
mod group_by;
mod group_id;
mod grouping_sets;
mod guard;
mod hints;
mod keys;
mod lateral;
mod marks;
mod misread;
mod newest_rows;
mod one_row;
mod optimise;
mod push_down;
mod ranking;
mod relations;
mod set_operations;
mod shared_columns;
mod subqueries;
mod tables;
mod unnest_factor;
mod versions;
mod window_tvf;

pub(crate) use duplicates::free_name;
pub(crate) use hints::{Emission, Hinted};
pub(crate) use ranking::{ROW_NUMBER, names as window_functions};
pub(crate) use tables::{OperatorRows, ScannedTable, Tables};
pub(crate) use versions::{VersionsOf, versions_of};
pub(crate) use window_tvf::{WINDOW_COLUMNS, WindowTvf};
