//! Joins of rows with the versions that a table has in time: `ASOF JOIN` and `FOR SYSTEM_TIME AS OF`.

use std::collections::BTreeSet;

use super::Generator;
use super::queries::renamed;
use crate::relation::{Column, Node, Relation, Versions};

impl Generator {
    /// Rows of a stream, each beside a version of its key; the stream alone if no version would be the only one of its time.
    pub(super) fn version_join(&mut self, depth: usize) -> Relation {
        let left = self.stream(depth);
        let left = self.side(left);
        let place = self.random.below(self.tables.len());
        let right = self.scan(place);
        let (time, since) = (self.random.pick(&left.times).clone(), right.times[0].clone());
        if left.column(&time).data_type != right.column(&since).data_type {
            return left;
        }
        let Some((own, key)) = self.key_of_versions(&left, &right, &since) else { return left };
        let scope = [&left.columns[..], &right.columns].concat();
        let (items, mut columns) = self.renamed(&scope);
        columns.iter_mut().for_each(|column| column.nullable = true);
        let form = *self.random.pick(&[Versions::AsOf, Versions::AsOf, Versions::Inner, Versions::Left]);
        let times = vec![renamed(&time, &items)];
        let node = Node::Version {
            left: Box::new(left),
            right: Box::new(right),
            times: (time, since),
            key: (own, key),
            form,
            items,
        };
        Relation { node, columns, times, window: None, unique: None }
    }

    /// Columns of one type, so that no two versions of a key are of one time; most often some rows have a key in common.
    fn key_of_versions(&mut self, left: &Relation, right: &Relation, since: &str) -> Option<(String, String)> {
        let mut found = None;
        for _ in 0..8 {
            let key = self.column_where(&right.columns, |column: &Column| column.data_type.is_scalar())?.clone();
            let own = self.column_where(&left.columns, |column| column.data_type == key.data_type).cloned();
            let Some(own) = own.filter(|_| self.are_told_apart(right, &key.name, since)) else { continue };
            let values = |relation: &Relation, name: &str| -> BTreeSet<String> {
                let place = relation.names().iter().position(|known| known == name).unwrap_or_default();
                self.rows_of(relation).iter().map(|row| row[place].key()).collect()
            };
            let in_common = !values(left, &own.name).is_disjoint(&values(right, &key.name));
            found = Some((own.name, key.name));
            if in_common {
                break;
            }
        }
        found
    }

    fn are_told_apart(&self, right: &Relation, key: &str, since: &str) -> bool {
        let place = |name: &str| right.names().iter().position(|known| known == name).unwrap_or_default();
        let (key, since) = (place(key), place(since));
        let rows = self.rows_of(right);
        rows.iter().map(|row| (row[key].key(), row[since].key())).collect::<BTreeSet<_>>().len() == rows.len()
    }
}
