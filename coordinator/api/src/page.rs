//! Long lists, a page at a time.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// Entries of a page if nobody says how many.
const USUAL: usize = 100;
/// Entries that a page may have.
const MOST: usize = 1000;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// Its entries, in the list's order.
    pub items: Vec<T>,
    /// What to give as `after` for the next page; absent behind the last entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageOf {
    /// How many entries; 100 if not given, 1000 at most.
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

impl PageOf {
    /// That part of `all`, which is in the order of its keys. The key of an entry that is gone by now does no harm.
    pub(crate) fn cut<T, K: Ord>(
        &self,
        all: Vec<T>,
        key: impl Fn(&T) -> K,
        read: impl Fn(&str) -> Option<K>,
        write: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Problem> {
        let limit = self.limit.unwrap_or(USUAL);
        if limit == 0 || limit > MOST {
            return Err(Problem::invalid(format!("limit is {limit}, and may be 1 to {MOST}")));
        }
        let after = match &self.after {
            None => None,
            Some(text) => Some(read(text).ok_or_else(|| Problem::invalid("after is not the `next` of a page"))?),
        };
        let mut rest = all.into_iter().skip_while(|entry| after.as_ref().is_some_and(|after| key(entry) <= *after));
        let items: Vec<T> = rest.by_ref().take(limit).collect();
        let next = rest.next().and_then(|_| items.last().map(write));
        Ok(Page { items, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(limit: usize, all: &[u64]) -> Vec<Vec<u64>> {
        let mut of = PageOf { limit: Some(limit), after: None };
        let mut pages = Vec::new();
        loop {
            let page = of.cut(all.to_vec(), |n| *n, |text| text.parse().ok(), u64::to_string).unwrap();
            pages.push(page.items);
            match page.next {
                Some(next) => of.after = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_put_together_are_the_list() {
        assert_eq!(pages(2, &[1, 4, 6, 9, 12]), [vec![1, 4], vec![6, 9], vec![12]]);
        assert_eq!(pages(5, &[1, 4, 6, 9, 12]), [[1, 4, 6, 9, 12]]);
        assert_eq!(pages(3, &[]), [Vec::<u64>::new()]);
    }

    #[test]
    fn a_page_of_nothing_or_of_too_much_is_refused() {
        for limit in [0, MOST + 1] {
            let of = PageOf { limit: Some(limit), after: None };
            let refused = of.cut(vec![1_u64], |n| *n, |text| text.parse().ok(), u64::to_string).unwrap_err();
            assert!(refused.detail.contains("1 to 1000"), "{}", refused.detail);
        }
        let of = PageOf { limit: None, after: Some("x".into()) };
        assert!(of.cut(vec![1_u64], |n| *n, |text| text.parse().ok(), u64::to_string).is_err());
    }
}
