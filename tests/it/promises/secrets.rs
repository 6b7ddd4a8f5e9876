//! Promise 10: secrets never enter the record, the bundle, the output or an argument list.

use incident::evidence::{BundleMeta, plan, write};

use super::*;

/// Shapes people paste by mistake. Made up for this test, each in the form its maker gives it.
fn planted() -> Vec<String> {
    vec![
        format!("ghp_{}", "R2d2C3poR2d2C3poR2d2C3poR2d2C3po9xyz"),
        format!("AKIA{}", "QX7EXAMPLE3B4C5D"),
        format!(
            "hvs.{}",
            "CAESIJx7mfKQp2Wq9sT4vYb1NcZr8LdHgE3oUaRiPkXwQjVtGh4KHGh2cy5"
        ),
        format!("postgres://shop:{}@db.example/orders", "Tr0ub4dor-and-3-more"),
    ]
}

/// The part of each that must be nowhere.
fn values() -> Vec<String> {
    let mut all = planted();
    all[3] = "Tr0ub4dor-and-3-more".to_owned();
    all
}

fn files_below(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(&path, all),
            false => all.push(path),
        }
    }
}

#[test]
fn promise_10_planted_secrets_are_nowhere_but_in_what_undoes_a_cut() {
    let room = Room::new(100);
    let told: Rc<RefCell<String>> = Rc::default();
    let engine = room.open();
    let heard = Rc::clone(&told);
    engine.listen(Box::new(move |event| {
        heard.borrow_mut().push_str(&event.event.fields().to_string());
    }));
    // What the agent read and wrote holds tokens, what people write holds more.
    let (secrets, responder) = (
        planted(),
        format!("{}/pasted.txt", room.drill.world.host.cwd().display()),
    );
    let text = format!("# from the chat\n{}\n", secrets.join("\n"));
    room.drill
        .world
        .files
        .replace(Path::new(&responder), text.as_bytes(), 0o600)
        .unwrap();
    room.walk(&engine, |next| matches!(next, Next::Ask { .. }));
    for secret in &secrets {
        engine.note(&format!("they gave me {secret} to look")).unwrap();
        engine.did(&format!("logged in with {secret}")).unwrap();
        engine
            .answer(&step("claim-only-staging"), &format!("refuted, see {secret}"))
            .unwrap();
        let argv = [
            "curl",
            "-H",
            &format!("X-Key: {secret}"),
            "https://api.harbor.example/v1/me",
        ];
        let argv = argv.map(str::to_owned);
        let refused = engine.perform_ad_hoc(&argv, Some(&format!("because of {secret}")));
        let said = format!("{refused:?}");
        assert!(
            refused.is_err() && !values().iter().any(|v| said.contains(v)),
            "{said}"
        );
    }
    engine.attach(Path::new(&responder)).unwrap();
    room.walk(&engine, |next| matches!(next, Next::Closed));
    engine.seal(false).unwrap();

    let tokens = ["tok-dns", "tok-staging", "tok-ana", "tok-ci"].map(|t| room.drill.secret_of(t));
    let all: Vec<String> = values().into_iter().chain(tokens).collect();
    let absent = |place: &str, bytes: &[u8]| {
        for (n, secret) in all.iter().enumerate() {
            assert!(secret.len() > 15);
            let there = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!there, "secret {n} is in {place}");
        }
    };
    let case = case_of(&engine);
    let mut files = Vec::new();
    files_below(&case, &mut files);
    let mut receipts = 0;
    for path in &files {
        let inside = path.strip_prefix(&case).unwrap();
        if inside.starts_with("undo") || inside == Path::new("case.key") {
            continue;
        }
        let bytes = fs::read(path).unwrap();
        absent(&inside.display().to_string(), &bytes);
        receipts += String::from_utf8_lossy(&bytes).matches("REDACTED").count();
    }
    assert!(
        files.len() > 20 && receipts > 8,
        "{} files, {receipts} receipts",
        files.len()
    );
    absent("what the screen was told", told.borrow().as_bytes());
    assert!(told.borrow().len() > 5_000);
    let meta = BundleMeta {
        incident: engine.incident().unwrap().id().clone(),
        sealed_by: ANA.to_owned(),
        sealed_at: "2026-11-22T03:14:07.120Z".to_owned(),
        records: None,
        hash_anew: false,
    };
    let mut bundle = Vec::new();
    write(&plan(&case, &meta).unwrap(), None, &mut bundle).unwrap();
    absent("the bundle", &bundle);
    let key = fs::read(case.join("case.key")).unwrap();
    assert!(!bundle.windows(key.len()).any(|w| w == key), "the key stays home");
}
