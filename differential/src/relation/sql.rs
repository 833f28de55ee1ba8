//! How queries are written: a view for each relation but tables and windows, which stand in `FROM`.

use std::fmt::Write as _;

use super::{Emission, FirstRows, Item, JoinKind, Matching, Node, Order, Relation, Versions};
use crate::expression::{Expression, Operator, sql};
use crate::table::Table;

/// A script that grows by views.
#[derive(Debug)]
pub struct Script<'a> {
    tables: &'a [Table],
    text: String,
    views: usize,
}

/// Views and the query over them, without tables.
pub fn body(relation: &Relation, tables: &[Table]) -> String {
    let mut script = Script { tables, text: String::new(), views: 0 };
    let query = script.query(relation);
    format!("{}{query};\n", script.text)
}

impl Script<'_> {
    /// What stands in `FROM`.
    fn from(&mut self, relation: &Relation) -> String {
        match &relation.node {
            Node::Table(table) => self.tables[*table].name.clone(),
            Node::Window { input, time, window } => {
                let from = self.from(input);
                window.sql(&from, time)
            }
            _ => {
                let query = self.query(relation);
                self.views += 1;
                let name = format!("v{}", self.views);
                let _ = writeln!(self.text, "CREATE VIEW {name} AS\n{query};");
                name
            }
        }
    }

    fn query(&mut self, relation: &Relation) -> String {
        match &relation.node {
            Node::Table(_) | Node::Window { .. } => format!("SELECT * FROM {}", self.from(relation)),
            Node::Select { input, items, filter } => {
                format!("SELECT {}\nFROM {}{}", list(items), self.from(input), where_clause(filter.as_ref()))
            }
            Node::Aggregate { input, filter, keys, sets, calls, having, shown } => {
                let emit = match shown {
                    Emission::Plain => String::new(),
                    Emission::OnUpdate => "\nEMIT ON UPDATE".to_owned(),
                    Emission::Every(millis) => format!("\nEMIT EVERY INTERVAL '0.{millis:03}' SECOND"),
                    Emission::Late(millis) => {
                        format!("\nALLOWED LATENESS INTERVAL '{}.{:03}' SECOND", millis / 1000, millis % 1000)
                    }
                };
                let results: Vec<String> =
                    calls.iter().map(|call| format!("{} AS {}", call.sql(), call.name)).collect();
                let keys_named = (!keys.is_empty()).then(|| list(keys));
                let items = keys_named.into_iter().chain(results).collect::<Vec<_>>().join(", ");
                let from = self.from(input);
                if calls.is_empty() {
                    return format!(
                        "SELECT DISTINCT {}\nFROM {from}{}{emit}",
                        list(keys),
                        where_clause(filter.as_ref())
                    );
                }
                let mut by: Vec<String> = keys.iter().map(|key| sql(&key.expression)).collect();
                if let Some(sets) = sets {
                    let of_set = |set: &Vec<usize>| {
                        let keys: Vec<&str> = set.iter().map(|place| by[*place].as_str()).collect();
                        format!("({})", keys.join(", "))
                    };
                    let sets: Vec<String> = sets.iter().map(of_set).collect();
                    by.truncate(relation.keys_of_window());
                    by.push(format!("GROUPING SETS ({})", sets.join(", ")));
                }
                let by = if by.is_empty() { String::new() } else { format!("\nGROUP BY {}", by.join(", ")) };
                let having = having.as_ref().map_or(String::new(), |having| {
                    let mut having = having.clone();
                    replace(&mut having, &|name| {
                        let key = keys.iter().find(|key| key.name == name).map(|key| sql(&key.expression));
                        key.or_else(|| calls.iter().find(|call| call.name == name).map(super::Call::sql))
                    });
                    format!("\nHAVING {}", sql(&having))
                });
                format!("SELECT {items}\nFROM {from}{}{by}{having}{emit}", where_clause(filter.as_ref()))
            }
            Node::Top { input, partition, order, ranking, limit, items, place, form } => {
                let order: Vec<String> = order.iter().map(Order::sql).collect();
                let order = order.join(", ");
                let partition = if partition.is_empty() {
                    String::new()
                } else {
                    format!("PARTITION BY {} ", partition.join(", "))
                };
                let (from, items) = (self.from(input), list(items));
                let number = format!("{}() OVER ({partition}ORDER BY {order})", ranking.name());
                match form {
                    FirstRows::Around => format!(
                        "SELECT {items}, {place}\nFROM (SELECT *, {number} AS {place} FROM {from})\nWHERE {place} <= {limit}"
                    ),
                    FirstRows::Qualify => {
                        format!("SELECT {items}, {number} AS {place}\nFROM {from}\nQUALIFY {place} <= {limit}")
                    }
                    FirstRows::WithTies => format!(
                        "SELECT {items}, {number} AS {place}\nFROM {from}\nORDER BY {order}\nFETCH FIRST {limit} ROWS WITH TIES"
                    ),
                }
            }
            Node::Over { input, items, over } => {
                format!("SELECT {}, {} AS {}\nFROM {}", list(items), over.sql(), over.name, self.from(input))
            }
            Node::Join { left, right, kind, condition, items } => {
                let (left, right) = (self.from(left), self.from(right));
                let kind = match kind {
                    JoinKind::Inner => "JOIN",
                    JoinKind::Left => "LEFT JOIN",
                    JoinKind::Right => "RIGHT JOIN",
                    JoinKind::Full => "FULL JOIN",
                };
                format!("SELECT {}\nFROM {left} {kind} {right}\nON {}", list(items), condition_text(condition))
            }
            Node::Version { left, right, times: (time, since), key: (own, key), form, items } => {
                let (from, table) = (self.from(left), self.from(right));
                let (items, on) = (list(items), format!("{own} = {key}"));
                let kind = match form {
                    Versions::AsOf => {
                        return format!(
                            "SELECT {items}\nFROM {from} ASOF JOIN {table} MATCH_CONDITION ({time} >= {since})\nON {on}"
                        );
                    }
                    Versions::Inner => "JOIN",
                    Versions::Left => "LEFT JOIN",
                };
                self.views += 1;
                let name = format!("v{}", self.views);
                let columns = right.names().join(", ");
                let number = format!("ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {since} DESC) AS newest");
                let _ = writeln!(
                    self.text,
                    "CREATE VIEW {name} AS\nSELECT {columns}\nFROM (SELECT *, {number} FROM {table})\nWHERE newest = 1;"
                );
                format!("SELECT {items}\nFROM {from} {kind} {name} FOR SYSTEM_TIME AS OF {from}.{time}\nON {on}")
            }
            Node::Match { input, other, negated, form, condition, items } => {
                let (from, other) = (self.from(input), self.from(other));
                let (items, condition) = (list(items), condition_text(condition));
                match form {
                    Matching::Exists => {
                        let not = if *negated { "NOT " } else { "" };
                        format!(
                            "SELECT {items}\nFROM {from}\nWHERE {not}EXISTS (SELECT 1 FROM {other} WHERE {condition})"
                        )
                    }
                    Matching::Join => {
                        let kind = if *negated { "ANTI" } else { "SEMI" };
                        format!("SELECT {items}\nFROM {from} LEFT {kind} JOIN {other}\nON {condition}")
                    }
                }
            }
            Node::Common { left, right, rows } => {
                let (left_from, right_from) = (self.from(left), self.from(right));
                let (left, right) = (left.names().join(", "), right.names().join(", "));
                format!("SELECT {left} FROM {left_from}\n{}\nSELECT {right} FROM {right_from}", rows.sql())
            }
            Node::Unnest { input, array, element, items } => {
                let from = self.from(input);
                format!(
                    "SELECT {}, {element}\nFROM {from} CROSS JOIN UNNEST({from}.{array}) AS x ({element})",
                    list(items)
                )
            }
            Node::Union(inputs) => {
                let parts: Vec<String> = inputs
                    .iter()
                    .map(|input| {
                        let columns = input.columns.iter().zip(&relation.columns);
                        let items: Vec<String> =
                            columns.map(|(own, common)| format!("{} AS {}", own.name, common.name)).collect();
                        format!("SELECT {} FROM {}", items.join(", "), self.from(input))
                    })
                    .collect();
                parts.join("\nUNION ALL\n")
            }
        }
    }
}

fn list(items: &[Item]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{} AS {}", sql(&item.expression), item.name)).collect();
    items.join(", ")
}

fn where_clause(filter: Option<&Expression>) -> String {
    filter.map_or(String::new(), |filter| format!("\nWHERE {}", condition_text(filter)))
}

/// Without the outermost parentheses around an `AND`.
fn condition_text(condition: &Expression) -> String {
    match condition.operator {
        Operator::And => condition.arguments.iter().map(sql).collect::<Vec<_>>().join(" AND "),
        _ => sql(condition),
    }
}

/// Puts texts in the place of columns.
fn replace(expression: &mut Expression, text_of: &impl Fn(&str) -> Option<String>) {
    if let Operator::Column(name) = &mut expression.operator
        && let Some(text) = text_of(name)
    {
        *name = text;
    }
    expression.arguments.iter_mut().for_each(|argument| replace(argument, text_of));
}
