//! What differs between two maps, found by walking through both at once.

use std::cmp::Ordering;
use std::collections::btree_map::{BTreeMap, Iter};
use std::iter::Peekable;

/// Walks through two maps and gives the ids of what differs, in their order. Values that are shared are equal at a glance.
pub(crate) fn changes<'a, K: Ord, V: PartialEq>(before: &'a BTreeMap<K, V>, after: &'a BTreeMap<K, V>) -> Changes<'a, K, V> {
    Changes { before: before.iter().peekable(), after: after.iter().peekable() }
}

/// See [`changes`].
#[derive(Debug, Clone)]
pub(crate) struct Changes<'a, K, V> {
    before: Peekable<Iter<'a, K, V>>,
    after: Peekable<Iter<'a, K, V>>,
}

impl<'a, K: Ord, V: PartialEq> Iterator for Changes<'a, K, V> {
    type Item = &'a K;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.before.peek(), self.after.peek()) {
                (Some((old, _)), Some((new, _))) => old.cmp(new),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            let old = if order.is_le() { self.before.next() } else { None };
            let new = if order.is_ge() { self.after.next() } else { None };
            if old.map(|(_, value)| value) != new.map(|(_, value)| value) {
                return old.or(new).map(|(id, _)| id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn every_difference_is_given_once_and_nothing_else(before: BTreeMap<u8, u8>, mut after: BTreeMap<u8, u8>, same: bool) {
            if same {
                after.extend(&before);
            }
            let ids: std::collections::BTreeSet<&u8> = before.keys().chain(after.keys()).collect();
            let expected: Vec<_> = ids.into_iter().filter(|id| before.get(id) != after.get(id)).collect();
            prop_assert_eq!(changes(&before, &after).collect::<Vec<_>>(), expected);
        }
    }
}
