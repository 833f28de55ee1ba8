//! What every storage promises, as tests: each implementation runs [`storage`]. It panics where a promise is broken.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::sync::Arc;

use weir_core::{Error, ErrorKind, Result};

use crate::Storage;

/// Opens the storage under test. Each call is another process that uses the same storage.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn Storage> + Sync);

/// Checks all promises. The storage has to be empty, and is empty afterwards.
pub fn storage(open: Open<'_>) {
    an_object_never_changes(open);
    it_is_there_for_everybody_when_put_returns(open);
    an_object_is_seen_when_it_is_finished(open);
    what_is_finished_is_held_to_what_is_there(open);
    a_range_is_read_or_refused_as_a_whole(open);
    a_listing_is_sorted_and_complete(open);
    what_is_deleted_is_gone_and_its_path_is_free(open);
    of_two_writers_one_wins(open);
    no_path_leads_out(open);
    sweeping_disturbs_nobody(open);
    an_empty_place_can_go_and_come_back(open);
}

fn an_object_never_changes(open: Open<'_>) {
    let storage = open();
    storage.put("runs/a", b"first").unwrap();
    storage.put("runs/a", b"first").unwrap();
    for other in [&b"other"[..], b"firs", b"first!", b""] {
        refused(storage.put("runs/a", other), ErrorKind::Environment, &storage.locate("runs/a"));
        assert_eq!(storage.get("runs/a").unwrap(), b"first");
    }
    storage.put("empty", b"").unwrap();
    assert_eq!(storage.get("empty").unwrap(), b"");
    clear(open);
}

fn it_is_there_for_everybody_when_put_returns(open: Open<'_>) {
    let (writer, reader) = (open(), open());
    writer.put("checkpoints/1", b"manifest").unwrap();
    assert_eq!(reader.get("checkpoints/1").unwrap(), b"manifest");
    drop(writer);
    assert_eq!(open().list("").unwrap(), ["checkpoints/1"]);
    refused(reader.get("checkpoints/2"), ErrorKind::Environment, &reader.locate("checkpoints/2"));
    refused(reader.get("checkpoints"), ErrorKind::Environment, &reader.locate("checkpoints"));
    clear(open);
}

/// More than any implementation collects before it writes.
fn large() -> Vec<u8> {
    (0..1_000_003_u32).map(|index| (index * 7 + index / 251) as u8).collect()
}

fn an_object_is_seen_when_it_is_finished(open: Open<'_>) {
    let storage = open();
    let content = large();
    let mut object = storage.create("runs/pieces").unwrap();
    for piece in content.chunks(10_007) {
        object.write_all(piece).unwrap();
    }
    object.flush().unwrap();
    assert!(open().list("").unwrap().is_empty(), "a part of an object is no object");
    assert!(storage.get("runs/pieces").is_err());
    object.finish().unwrap();
    assert!(open().get("runs/pieces").unwrap() == content);

    let mut given_up = storage.create("runs/given-up").unwrap();
    given_up.write_all(&content).unwrap();
    drop(given_up);
    assert_eq!(storage.list("").unwrap(), ["runs/pieces"]);
    storage.put("runs/given-up", b"the path is free").unwrap();
    clear(open);
}

fn what_is_finished_is_held_to_what_is_there(open: Open<'_>) {
    let storage = open();
    let content = large();
    let write = |bytes: &[u8]| -> Result<()> {
        let mut object = storage.create("runs/a")?;
        object.write_all(bytes).map_err(|error| Error::internal("the writer fails early").with_source(error))?;
        object.finish()
    };
    write(&content).unwrap();
    write(&content).unwrap();
    storage.put("runs/a", &content).unwrap();
    let mut changed = content.clone();
    *changed.last_mut().unwrap() ^= 1;
    for other in [&changed[..], &content[1..], &[&content[..], b"!"].concat()] {
        refused(write(other), ErrorKind::Environment, &storage.locate("runs/a"));
    }
    assert!(storage.get("runs/a").unwrap() == content);
    clear(open);
}

fn a_range_is_read_or_refused_as_a_whole(open: Open<'_>) {
    let storage = open();
    storage.put("runs/a", b"0123456789").unwrap();
    for (offset, length, expected) in [(0, 10, "0123456789"), (3, 4, "3456"), (9, 1, "9"), (10, 0, ""), (0, 0, "")] {
        assert_eq!(storage.get_range("runs/a", offset, length).unwrap(), expected.as_bytes());
    }
    for (offset, length) in [(3, 8), (11, 0), (10, 1), (u64::MAX, 2), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        refused(storage.get_range("runs/a", offset, length), ErrorKind::Data, &storage.locate("runs/a"));
    }
    refused(storage.get_range("runs/b", 0, 0), ErrorKind::Environment, &storage.locate("runs/b"));
    clear(open);
}

fn a_listing_is_sorted_and_complete(open: Open<'_>) {
    let storage = open();
    for path in ["runs/2/b", "runs/1/z", "runs/10", "runs/30", "commits/1"] {
        storage.put(path, b"").unwrap();
    }
    assert_eq!(storage.list("").unwrap(), ["commits/1", "runs/1/z", "runs/10", "runs/2/b", "runs/30"]);
    assert_eq!(storage.list("runs/").unwrap(), ["runs/1/z", "runs/10", "runs/2/b", "runs/30"]);
    assert_eq!(storage.list("runs/1").unwrap(), ["runs/1/z", "runs/10"]);
    assert_eq!(storage.list("runs/1/").unwrap(), ["runs/1/z"]);
    assert_eq!(storage.list("run").unwrap().len(), 4);
    assert!(storage.list("nothing/").unwrap().is_empty());
    clear(open);
}

fn what_is_deleted_is_gone_and_its_path_is_free(open: Open<'_>) {
    let storage = open();
    storage.put("runs/a", b"first").unwrap();
    storage.put("runs/ab", b"").unwrap();
    open().delete("runs/a").unwrap();
    storage.delete("runs/a").unwrap();
    storage.delete("never/was").unwrap();
    assert_eq!(storage.list("").unwrap(), ["runs/ab"]);
    refused(storage.get("runs/a"), ErrorKind::Environment, &storage.locate("runs/a"));
    storage.put("runs/a", b"second").unwrap();
    assert_eq!(storage.get("runs/a").unwrap(), b"second");
    clear(open);
}

fn of_two_writers_one_wins(open: Open<'_>) {
    let contents: Vec<Vec<u8>> = (0..8_u8).map(|writer| vec![writer; 50_000]).collect();
    let won: Vec<bool> = std::thread::scope(|scope| {
        let put = |content: &Vec<u8>| open().put("checkpoints/1", content).is_ok();
        let writers: Vec<_> = contents.iter().map(|content| scope.spawn(move || put(content))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let winners: Vec<&Vec<u8>> =
        contents.iter().zip(&won).filter_map(|(content, won)| won.then_some(content)).collect();
    assert_eq!(winners, [&open().get("checkpoints/1").unwrap()]);
    clear(open);
}

/// Paths come from manifests too, and a manifest may be anybody's.
fn no_path_leads_out(open: Open<'_>) {
    let storage = open();
    for path in
        ["", "/", "/etc/passwd", "..", "../x", "runs/../../x", "runs/..", ".", "./x", "runs/./x", "runs//x", "runs/"]
    {
        assert!(storage.put(path, b"").is_err(), "{path}");
        assert!(storage.create(path).and_then(|object| object.finish()).is_err(), "{path}");
        assert!(storage.get(path).is_err(), "{path}");
        assert!(storage.get_range(path, 0, 0).is_err(), "{path}");
        assert!(storage.delete(path).is_err(), "{path}");
    }
    assert!(storage.list("").unwrap().is_empty());
}

fn sweeping_disturbs_nobody(open: Open<'_>) {
    let storage = open();
    storage.sweep().unwrap();
    storage.put("runs/a", b"a").unwrap();
    let mut object = storage.create("runs/b").unwrap();
    object.write_all(b"first").unwrap();
    open().sweep().unwrap();
    object.write_all(b" and second").unwrap();
    object.finish().unwrap();
    assert_eq!(storage.get("runs/b").unwrap(), b"first and second");
    assert_eq!(storage.get("runs/a").unwrap(), b"a");
    clear(open);
}

fn an_empty_place_can_go_and_come_back(open: Open<'_>) {
    let storage = open();
    storage.put("runs/1/a", b"").unwrap();
    storage.delete("runs/1/a").unwrap();
    storage.vacate().unwrap();
    storage.vacate().unwrap();
    assert!(storage.list("").unwrap().is_empty());
    open().put("runs/1/a", b"again").unwrap();
    assert_eq!(open().get("runs/1/a").unwrap(), b"again");
    clear(open);
}

fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, name: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.report().contains(name), "{} does not name {name}", error.report());
}

fn clear(open: Open<'_>) {
    let storage = open();
    storage.list("").unwrap().iter().for_each(|path| storage.delete(path).unwrap());
    assert!(storage.list("").unwrap().is_empty());
}
