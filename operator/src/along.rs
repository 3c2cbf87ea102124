//! Walking along an ordered map beside another one: a look at each step costs next to nothing, a look-up does not.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::btree_map::{BTreeMap, Iter};
use std::iter::Peekable;

/// Where one is in a map.
pub struct Along<'a, K, V>(Peekable<Iter<'a, K, V>>);

impl<'a, K, V> Along<'a, K, V> {
    /// At its beginning.
    #[must_use]
    pub fn of(map: &'a BTreeMap<K, V>) -> Self {
        Self(map.iter().peekable())
    }

    /// What stands under an id. To be asked in the order of ids.
    pub fn at<Q: Ord + ?Sized>(&mut self, id: &Q) -> Option<&'a V>
    where
        K: Borrow<Q>,
    {
        loop {
            let here: &Q = self.0.peek()?.0.borrow();
            // An id that both maps share needs no reading.
            let order = if std::ptr::eq(here, id) { Ordering::Equal } else { here.cmp(id) };
            match order {
                Ordering::Less => drop(self.0.next()),
                Ordering::Equal => return self.0.next().map(|(_, value)| value),
                Ordering::Greater => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn each_step_sees_what_a_look_up_would(map: BTreeMap<u8, u16>, ids: BTreeSet<u8>) {
            let mut along = Along::of(&map);
            for id in &ids {
                prop_assert_eq!(along.at(id), map.get(id));
            }
        }
    }
}
