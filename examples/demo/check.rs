//! The judge: whether two were active at once, whether tokens grew, whether an ID was handed out twice.

use std::collections::BTreeSet;

/// The time in which one process held one term and could say "active": up to its end, which belongs to it no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) process: String,
    pub(crate) token: i64,
    pub(crate) start_ms: i64,
    /// `i64::MAX` where no end was seen.
    pub(crate) end_ms: i64,
}

/// Every pair of terms that have an instant in common.
pub(crate) fn overlaps(terms: &[Term]) -> Vec<(&Term, &Term)> {
    let mut found = Vec::new();
    for (i, one) in terms.iter().enumerate() {
        let others = terms[i + 1..].iter();
        let with = others.filter(|other| one.start_ms < other.end_ms && other.start_ms < one.end_ms);
        found.extend(with.map(|other| (one, other)));
    }
    found
}

/// Every two terms, the second the next to begin, whose tokens do not grow.
pub(crate) fn tokens_gone_back(terms: &[Term]) -> Vec<(&Term, &Term)> {
    let mut in_order: Vec<&Term> = terms.iter().collect();
    in_order.sort_by_key(|term| term.start_ms);
    let pairs = in_order.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.filter(|(one, next)| next.token <= one.token).collect()
}

/// The IDs that one client was given, one request after another.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    seen: BTreeSet<u64>,
    last: u64,
    pub(crate) duplicates: u64,
    /// IDs that were new but not above the one before.
    pub(crate) disordered: u64,
}

impl Ids {
    pub(crate) fn add(&mut self, id: u64) {
        if !self.seen.insert(id) {
            self.duplicates += 1;
        } else if id <= self.last {
            self.disordered += 1;
        }
        self.last = id;
    }

    /// How many different ones.
    pub(crate) fn count(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(process: &str, token: i64, start_ms: i64, end_ms: i64) -> Term {
        Term { process: process.into(), token, start_ms, end_ms }
    }

    #[test]
    fn terms_that_follow_one_another_do_not_overlap() {
        let terms = [term("a", 1, 0, 10), term("b", 2, 10, 20), term("a", 3, 25, i64::MAX)];
        assert!(overlaps(&terms).is_empty());
        assert!(tokens_gone_back(&terms).is_empty());
    }

    #[test]
    fn two_that_are_active_at_once_are_flagged() {
        for (one, other) in
            [((0, 11), (10, 20)), ((0, i64::MAX), (10, 20)), ((0, 30), (10, 20)), ((0, 30), (15, 15)), ((5, 6), (5, 6))]
        {
            let terms = [term("a", 1, one.0, one.1), term("b", 2, other.0, other.1)];
            assert_eq!(overlaps(&terms).len(), 1, "{one:?} {other:?}");
            let swapped = [terms[1].clone(), terms[0].clone()];
            assert_eq!(overlaps(&swapped).len(), 1, "{other:?} {one:?}");
        }
    }

    #[test]
    fn each_pair_that_overlaps_counts() {
        let terms = [term("a", 1, 0, 10), term("b", 2, 5, 15), term("c", 3, 8, 12), term("a", 4, 20, 30)];
        assert_eq!(overlaps(&terms).len(), 3);
    }

    #[test]
    fn a_process_that_begins_anew_before_its_old_term_ended_is_flagged() {
        assert_eq!(overlaps(&[term("a", 1, 0, 10), term("a", 2, 9, 20)]).len(), 1);
    }

    #[test]
    fn a_token_that_repeats_or_goes_back_is_flagged() {
        let terms = |next| [term("b", next, 10, 20), term("a", 5, 0, 10)];
        assert_eq!(tokens_gone_back(&terms(6)).len(), 0);
        assert_eq!(tokens_gone_back(&terms(5)).len(), 1);
        assert_eq!(tokens_gone_back(&terms(4)).len(), 1);
    }

    #[test]
    fn growing_ids_are_right_even_with_gaps() {
        let mut ids = Ids::default();
        for id in [1, 2, 5, 9] {
            ids.add(id);
        }
        assert_eq!((ids.count(), ids.duplicates, ids.disordered), (4, 0, 0));
    }

    #[test]
    fn an_id_given_twice_is_flagged() {
        let mut ids = Ids::default();
        for id in [1, 2, 2, 3, 1] {
            ids.add(id);
        }
        assert_eq!((ids.count(), ids.duplicates, ids.disordered), (3, 2, 0));
    }

    #[test]
    fn an_id_below_the_one_before_is_flagged() {
        let mut ids = Ids::default();
        for id in [1, 7, 3, 8] {
            ids.add(id);
        }
        assert_eq!((ids.count(), ids.duplicates, ids.disordered), (4, 0, 1));
    }
}
