//! Files that others take away, cut off or change.
use super::*;

/// Four files of one epoch.
async fn four_files(folder: &Path) -> (TableSpec, Vec<u8>) {
    let table = table(folder, &[("sink.rolling-policy.rows", "2")]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let committable = prepared(&mut sink, 0..7, 1).await;
    (table, committable)
}

#[tokio::test]
async fn what_readers_have_taken_away_is_no_loss() {
    let folder = TempDir::new().unwrap();
    let (table, committable) = four_files(folder.path()).await;
    commit(&table, vec![committable.clone()]).await.unwrap();
    let shown = files(&committable);
    fs::remove_file(folder.path().join(&shown[0].visible)).unwrap();
    fs::write(folder.path().join(&shown[1].visible), "what a reader has made of it\n").unwrap();
    for _ in 0..2 {
        commit(&table, vec![committable.clone()]).await.unwrap();
    }
    assert_eq!(visible(folder.path()).len(), 3);
}

#[tokio::test]
async fn a_commit_that_was_broken_off_goes_on_although_readers_have_been_there() {
    let folder = TempDir::new().unwrap();
    let (table, committable) = four_files(folder.path()).await;
    let prepared = files(&committable);
    // A process dies behind the second file, and a reader takes the first.
    let record = publication::Publication::of(Epoch(1), std::slice::from_ref(&committable));
    let SinkContext { job, uid, .. } = context(1, 0);
    record.record(folder.path(), &names::Sink::new(job, &uid)).unwrap();
    for file in &prepared[..2] {
        fs::rename(folder.path().join(&file.temporary), folder.path().join(&file.visible)).unwrap();
    }
    fs::remove_file(folder.path().join(&prepared[0].visible)).unwrap();

    commit(&table, vec![committable]).await.unwrap();
    assert_eq!(ids(folder.path()), [2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn prepared_files_that_are_lost_cut_off_or_changed_are_not_made_visible() {
    type Damage = fn(&Path);
    let damages: [(Damage, &str); 4] = [
        (|file| fs::remove_file(file).unwrap(), "lost"),
        (|file| fs::File::options().write(true).open(file).unwrap().set_len(10).unwrap(), "it has 10 bytes"),
        (|file| fs::write(file, "").unwrap(), "it has 0 bytes"),
        (
            |file| {
                let mut bytes = fs::read(file).unwrap();
                bytes[3] ^= 1;
                fs::write(file, bytes).unwrap();
            },
            "checksum",
        ),
    ];
    for (damage, words) in damages {
        let folder = TempDir::new().unwrap();
        let (table, committable) = four_files(folder.path()).await;
        let file = folder.path().join(&files(&committable)[2].temporary);
        let good = fs::read(&file).unwrap();
        damage(&file);
        for _ in 0..2 {
            let error = commit(&table, vec![committable.clone()]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.to_string().contains(words) && error.help().is_some(), "{}", error.report());
            assert!(visible(folder.path()).is_empty(), "all of an epoch, or nothing");
        }
        fs::write(&file, good).unwrap();
        commit(&table, vec![committable]).await.unwrap();
        assert_eq!(ids(folder.path()), (0..7).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_later_epoch_speaks_for_those_before_it_and_not_for_another_of_its_number() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let mut committables = Vec::new();
    for epoch in 1..=2 {
        committables.push(prepared(&mut sink, 0..1, epoch).await);
        commit(&table, vec![committables.last().unwrap().clone()]).await.unwrap();
    }
    // Readers have taken everything.
    for name in visible(folder.path()).keys() {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    for committable in committables {
        commit(&table, vec![committable]).await.unwrap();
    }
    let other = prepared(&mut sink, 0..1, 2).await;
    fs::remove_file(folder.path().join(&files(&other)[0].temporary)).unwrap();
    assert!(commit(&table, vec![other]).await.unwrap_err().to_string().contains("lost"));
    assert_eq!(commit(&table, vec![b"x".to_vec()]).await.unwrap_err().kind(), ErrorKind::Data);
}

#[tokio::test]
async fn an_audit_tells_what_readers_have_taken_from_what_is_lost() {
    let folder = TempDir::new().unwrap();
    let (table, committable) = four_files(folder.path()).await;
    let prepared = files(&committable);
    let found = async || {
        let SinkContext { job, uid, .. } = context(1, 0);
        let epochs = vec![PreparedEpoch { epoch: Epoch(1), committables: vec![committable.clone()] }];
        let audited = audit(&table, Audit { job, uid, epochs }).await.unwrap().unwrap();
        assert_eq!(audited.epochs[0].files, Some(4));
        (audited.epochs[0].found, audited.last)
    };
    assert_eq!(found().await, (Found::Missing, None));
    let file = |name: &str| folder.path().join(name);
    // As a commit that has broken off behind the first file leaves it.
    fs::rename(file(&prepared[0].temporary), file(&prepared[0].visible)).unwrap();
    assert_eq!(found().await, (Found::Partly, None));
    let taken = fs::read(file(&prepared[1].temporary)).unwrap();
    fs::remove_file(file(&prepared[1].temporary)).unwrap();
    assert_eq!(found().await, (Found::Unknown, None), "it was not recorded that all were there");
    fs::write(file(&prepared[1].temporary), taken).unwrap();
    commit(&table, vec![committable.clone()]).await.unwrap();
    assert_eq!(found().await, (Found::Written, Some(Epoch(1))));
    prepared.iter().for_each(|prepared| fs::remove_file(file(&prepared.visible)).unwrap());
    assert_eq!(found().await, (Found::Written, Some(Epoch(1))), "readers have taken them");

    // They were committed and taken behind the moment at which the record was read.
    let SinkContext { job, uid, .. } = context(1, 0);
    let epoch = PreparedEpoch { epoch: Epoch(1), committables: vec![committable.clone()] };
    let audited = audit::look_at(folder.path(), &SinkNames::new(job, &uid), &epoch, &mut None).unwrap();
    assert_eq!(audited.found, Found::Written);
}

#[tokio::test]
async fn a_file_that_cannot_be_looked_for_is_not_taken_for_one_that_is_gone() {
    let folder = TempDir::new().unwrap();
    let (table, committable) = four_files(folder.path()).await;
    commit(&table, vec![committable.clone()]).await.unwrap();
    let mut prepared = files(&committable);
    // A name that leads through a file: also who may look everywhere cannot look there.
    prepared[0].visible = format!("{}/below", prepared[1].visible);
    let epochs = vec![PreparedEpoch { epoch: Epoch(1), committables: vec![committable::encode(&prepared).unwrap()] }];
    let SinkContext { job, uid, .. } = context(1, 0);
    let error = audit(&table, Audit { job, uid, epochs }).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Environment && error.to_string().contains("look for"), "{error}");
}
