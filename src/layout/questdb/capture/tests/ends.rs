//! Claims about tables that end, databases that are set back, and what may go from the disk.

use super::*;

#[test]
fn the_volume_forgets_a_table_once_the_server_does() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.register(&["a~1"]);
    server.commit(&segment("a~1", 1, 0), 3);
    server.drop_table("a~1");
    ship_all(&mut store, &server, "a~1");
    assert_eq!(store.view[LOG].len(), 76 + 2 * 28);
    for path in server.files.paths().cloned().collect::<Vec<_>>() {
        if path.as_str().starts_with("a~1/") {
            server.files.remove(path.as_str());
        }
    }
    let plan = store.plan(&server.files);
    assert!(plan.steps.is_empty() && plan.problems.len() == 1, "lost, but not dropped");
    server.register(&[]);
    let plan = store.all(&server.files);
    assert!(matches!(&plan.steps[0], Step::Remove { path } if path.as_str() == LOG));
    assert!(store.view.is_empty());
}

#[test]
fn a_database_that_was_set_back_is_told_and_others_go_on() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.make_table("b~2");
    server.commit(&segment("a~1", 1, 0), 3);
    let before = server.files.bytes(LOG).unwrap();
    server.commit(&segment("a~1", 1, 0), 3);
    ship_all(&mut store, &server, "a~1");
    server.files.write(LOG, 0, &before);
    server.commit(&segment("b~2", 1, 0), 3);
    let plan = store.all(&server.files);
    assert!(plan.problems[0].contains("a~1") && plan.problems[0].contains("set back"));
    assert_eq!(check(&store, "b~2"), 1);
}

#[test]
fn a_database_that_was_set_back_and_went_on_is_told() {
    for part in [0, 100] {
        let (mut server, mut store) = (Server::new(), shipping());
        server.part = part;
        server.make_table("a~1");
        for _ in 0..400 {
            server.commit(&segment("a~1", 1, 0), 1);
        }
        store.all(&server.files);
        for _ in 0..3 {
            server.commit(&segment("a~1", 1, 0), 1);
        }
        assert_eq!(store.plan(&server.files).problems, [""; 0]);
        let form = if part == 0 { Form::Whole } else { Form::Parts(part) };
        // A batch that was full carried a part of the next record, which is another one by now.
        let (file, at) = form.place(401);
        let path = table("a~1").sequencer(file);
        if part == 0 {
            let end = at + 8;
            let steps = tails(&path, end, std::iter::once(at / BLOCK * BLOCK..end).collect());
            let mut cut = shipping();
            cut.manifest = store.manifest.clone();
            cut.view.clone_from(&store.view);
            cut.carry_out(&server.files, &steps.collect::<Vec<_>>());
            server.files.write(path.as_str(), at, &[9; 8]);
            assert_eq!(cut.plan(&server.files).problems, [""; 0]);
            server.files.write(path.as_str(), at, &[0; 8]);
        }
        // Its last commit is another writer's by now.
        let (file, at) = form.place(400);
        server.files.write(table("a~1").sequencer(file).as_str(), at + 8, &[2]);
        let plan = store.plan(&server.files);
        assert!(plan.steps.is_empty() && plan.problems[0].contains("set back"), "{plan:?}");
    }
}

#[test]
fn a_file_is_owed_while_a_commit_that_was_not_shipped_needs_it() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    server.fill(&segment("a~1", 2, 0), 3);
    let owed = |store: &Shipping, server: &Server, path| store.owes(&server.files, path);
    assert!(owed(&store, &server, "a~1/wal1/0/s.d") && owed(&store, &server, LOG));
    assert!(!owed(&store, &server, "a~1/wal2/0/s.d"), "nothing of it was committed");
    ship_all(&mut store, &server, "a~1");
    assert!(!owed(&store, &server, "a~1/wal1/0/s.d") && !owed(&store, &server, LOG));
}

#[test]
fn a_table_that_came_and_went_before_it_was_shipped_is_owed_no_longer() {
    let (mut server, store) = (Server::new(), shipping());
    server.make_table("a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    server.drop_table("a~1");
    let owed =
        |server: &Server| [LOG, "a~1/wal1/0/s.d"].map(|path| store.owes(&server.files, path));
    assert_eq!(owed(&server), [true; 2], "its commits can be shipped");
    server.files.remove("a~1/txn_seq/_wal_index.d");
    assert_eq!(owed(&server), [false; 2]);
    assert_eq!(store.plan(&server.files).steps, []);
}

#[test]
fn a_dropped_table_that_is_purged_before_its_last_commits_were_shipped_is_shipped_to_its_end() {
    let (mut server, mut store) = (Server::new(), shipping());
    server.make_table("a~1");
    ship_all(&mut store, &server, "a~1");
    server.commit(&segment("a~1", 1, 0), 3);
    server.drop_table("a~1");
    // The rest is held.
    server.files.remove("a~1/txn_seq/_wal_index.d");
    ship_all(&mut store, &server, "a~1");
    assert_eq!(check(&store, "a~1"), 2);
}
