//! Where resources are kept: so many and so large, the oldest thrown out.

use crate::sync::lock;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

/// Keeps the newest resources by their ids.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    inner: Mutex<Inner<T>>,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Inner<T> {
    by_id: HashMap<Arc<str>, (Arc<T>, usize)>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

impl<T> Shelf<T> {
    pub(crate) fn new(most: usize, most_bytes: usize) -> Self {
        let inner = Inner { by_id: HashMap::new(), order: VecDeque::new(), bytes: 0 };
        Self { inner: Mutex::new(inner), most, most_bytes }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<T>> {
        lock(&self.inner).by_id.get(id).map(|(item, _)| Arc::clone(item))
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.inner).by_id.len()
    }

    /// Puts a resource on the shelf under the first of the ids that is free.
    pub(crate) fn put(&self, bytes: usize, mut make: impl FnMut(u64) -> (String, T)) -> Arc<T> {
        let mut inner = lock(&self.inner);
        let (mut id, mut item) = make(0);
        for turn in 1.. {
            if !inner.by_id.contains_key(id.as_str()) {
                break;
            }
            (id, item) = make(turn);
        }
        let (id, item): (Arc<str>, _) = (id.into(), Arc::new(item));
        inner.by_id.insert(Arc::clone(&id), (Arc::clone(&item), bytes));
        inner.order.push_back(id);
        inner.bytes += bytes;
        inner.shrink(self.most, self.most_bytes);
        item
    }

    /// Says how large a resource has become.
    pub(crate) fn resize(&self, id: &str, bytes: usize) {
        let mut inner = lock(&self.inner);
        let Some((_, held)) = inner.by_id.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(held, bytes);
        inner.bytes = inner.bytes + bytes - before;
        inner.shrink(self.most, self.most_bytes);
    }

    pub(crate) fn remove(&self, id: &str) -> Option<Arc<T>> {
        let mut inner = lock(&self.inner);
        let (item, bytes) = inner.by_id.remove(id)?;
        inner.bytes -= bytes;
        // Removed ids stay in line; they are swept out here once they outnumber the rest.
        if inner.order.len() > 2 * inner.by_id.len() + 16 {
            let Inner { by_id, order, .. } = &mut *inner;
            order.retain(|id| by_id.contains_key(id));
        }
        Some(item)
    }

    /// The newest first: those that come after the given id, so many at most.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> Option<(Vec<Arc<T>>, bool)> {
        let inner = lock(&self.inner);
        let mut ids = inner.order.iter().rev().filter(|id| inner.by_id.contains_key(*id));
        if let Some(after) = after {
            ids.find(|id| id.as_ref() == after)?;
        }
        let items: Vec<Arc<T>> =
            ids.by_ref().take(limit).filter_map(|id| inner.by_id.get(id).map(|(item, _)| Arc::clone(item))).collect();
        let more = ids.next().is_some();
        Some((items, more))
    }
}

impl<T> Inner<T> {
    /// Throws out the oldest while there is too much, but never the newest.
    fn shrink(&mut self, most: usize, most_bytes: usize) {
        while (self.by_id.len() > most || self.bytes > most_bytes) && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some((_, bytes)) = self.by_id.remove(&oldest) {
                self.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    fn put(shelf: &Shelf<u32>, id: &str, bytes: usize, item: u32) {
        shelf.put(bytes, |turn| (format!("{id}{}", "+".repeat(turn as usize)), item));
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many_or_too_much() {
        let shelf = Shelf::new(3, 100);
        for (number, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
            put(&shelf, id, 10, number as u32);
        }
        assert_eq!((shelf.len(), shelf.get("a")), (3, None));
        put(&shelf, "e", 90, 9);
        assert_eq!(shelf.len(), 2);
        shelf.resize("e", 1000);
        assert_eq!((shelf.len(), shelf.get("e").as_deref()), (1, Some(&9)));
    }

    #[test]
    fn an_id_that_is_taken_gets_another_turn() {
        let shelf = Shelf::new(10, 100);
        put(&shelf, "a", 1, 1);
        put(&shelf, "a", 1, 2);
        assert_eq!(shelf.get("a+").as_deref(), Some(&2));
    }

    #[test]
    fn pages_go_from_the_newest_to_the_oldest() {
        let shelf = Shelf::new(10, 100);
        for (number, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
            put(&shelf, id, 1, number as u32);
        }
        shelf.remove("c");
        let page = |after, limit| {
            let (items, more) = shelf.page(after, limit).unwrap();
            (items.into_iter().map(|item| *item).collect::<Vec<_>>(), more)
        };
        assert_eq!(page(None, 2), (vec![3, 1], true));
        assert_eq!(page(Some("b"), 2), (vec![0], false));
        assert!(shelf.page(Some("zz"), 2).is_none());
    }
}
