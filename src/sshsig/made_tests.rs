//! Certificates, signatures and lists of revoked keys made byte by byte, also such as `ssh-keygen` would never make.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use signature::Signer as _;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, SshSig};

use super::{
    Certificate, NotCounted, Revoked, RevokedError, Roster, SigError, Signature, VerifiedKey, fingerprint_of,
    verify,
};
use crate::model::recipient::Recipient;

const NS: &str = "signoff@incident-v1";
const TEXT: &[u8] = b"incident-signoff v1\n";
const ANA: &str = "ana@example.com";
const NOON_S: u64 = 1_795_348_800;

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn strings(all: &[&[u8]]) -> Vec<u8> {
    all.iter().flat_map(|one| string(one)).collect()
}

/// A key pair from a seed of this byte; on a FIDO device where `flags` are what that reports.
#[derive(Clone, Copy)]
struct Pair {
    seed: u8,
    flags: Option<u8>,
}

fn pair(seed: u8) -> Pair {
    Pair { seed, flags: None }
}

impl Pair {
    fn keys(self) -> Ed25519Keypair {
        Ed25519Keypair::from_seed(&[self.seed; 32])
    }

    fn kind(self) -> &'static str {
        match self.flags {
            Some(_) => "sk-ssh-ed25519@openssh.com",
            None => "ssh-ed25519",
        }
    }

    /// What stands in its public key after the type.
    fn fields(self) -> Vec<u8> {
        let point = self.keys().public.0;
        match self.flags {
            Some(_) => strings(&[&point, b"ssh:"]),
            None => string(&point),
        }
    }

    fn public(self) -> Vec<u8> {
        [string(self.kind().as_bytes()), self.fields()].concat()
    }

    fn fingerprint(self) -> String {
        let hash = Sha256::digest(self.public());
        format!("SHA256:{}", STANDARD.encode(hash).trim_end_matches('='))
    }

    /// The line of a `.pub` file.
    fn line(self) -> String {
        format!("{} {}", self.kind(), STANDARD.encode(self.public()))
    }

    fn signs(self, text: &[u8]) -> Vec<u8> {
        let (text, tail) = match self.flags {
            Some(flags) => {
                let tail = [&[flags][..], &7_u32.to_be_bytes()].concat();
                let all = [&Sha256::digest(b"ssh:")[..], &tail, &Sha256::digest(text)].concat();
                (all, tail)
            }
            None => (text.to_vec(), Vec::new()),
        };
        let number = self.keys().sign(&text);
        [strings(&[self.kind().as_bytes(), number.as_bytes()]), tail].concat()
    }
}

/// A certificate before its authority signs it.
#[derive(Clone)]
struct Draft {
    held: Pair,
    authority: Pair,
    serial: u64,
    kind: u32,
    principals: Vec<u8>,
    options: Vec<u8>,
    /// The authority's key as it stands in it.
    named: Vec<u8>,
    tail: Vec<u8>,
}

fn draft() -> Draft {
    Draft {
        held: pair(1),
        authority: pair(2),
        serial: 0x0102_0304_0506_0708,
        kind: 1,
        principals: string(ANA.as_bytes()),
        options: Vec::new(),
        named: pair(2).public(),
        tail: Vec::new(),
    }
}

impl Draft {
    fn signed(&self) -> Vec<u8> {
        let kind = self.held.kind().trim_end_matches("@openssh.com");
        let text = [
            string(format!("{kind}-cert-v01@openssh.com").as_bytes()),
            string(b"nonce"),
            self.held.fields(),
            self.serial.to_be_bytes().to_vec(),
            self.kind.to_be_bytes().to_vec(),
            string(b"ana-laptop"),
            string(&self.principals),
            (NOON_S - 60).to_be_bytes().to_vec(),
            (NOON_S + 60).to_be_bytes().to_vec(),
            string(&self.options),
            strings(&[b"", b""]),
            string(&self.named),
        ]
        .concat();
        let signature = self.authority.signs(&text);
        [text, string(&signature), self.tail.clone()].concat()
    }

    fn checked(&self) -> Result<VerifiedKey, SigError> {
        check(&signature(&self.signed(), self.held))
    }
}

/// An armoured signature that names this key, by that one.
fn signature(key: &[u8], by: Pair) -> String {
    let text = SshSig::signed_data(NS, HashAlg::Sha512, TEXT).unwrap();
    let fields = strings(&[key, NS.as_bytes(), b"", b"sha512", &by.signs(&text)]);
    armoured(&[b"SSHSIG\0\0\0\x01", &fields[..]].concat())
}

fn armoured(blob: &[u8]) -> String {
    let body = STANDARD.encode(blob);
    format!("-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n")
}

fn check(armoured: &str) -> Result<VerifiedKey, SigError> {
    verify(&Signature::parse(armoured.as_bytes())?, TEXT, NS)
}

#[test]
fn a_certificate_is_read_for_what_its_authority_signed() {
    let key = draft().checked().unwrap();
    assert_eq!(key.fingerprint, pair(1).fingerprint());
    assert_eq!(key.algorithm, "ssh-ed25519-cert-v01@openssh.com");
    let read = Certificate {
        authority: pair(2).fingerprint(),
        serial: 0x0102_0304_0506_0708,
        key_id: "ana-laptop".into(),
        principals: vec![ANA.into()],
        valid_after: NOON_S - 60,
        valid_before: NOON_S + 60,
        verify_required: false,
    };
    assert_eq!(key.certificate, Some(read));
    let text = signature(&draft().signed(), pair(1));
    let parsed = Signature::parse(text.as_bytes()).unwrap();
    assert_eq!(parsed.authority(), Some(pair(2).fingerprint().as_str()));
    assert_eq!(parsed.fingerprint(), pair(1).fingerprint());
    assert_eq!(parsed.namespace(), NS);
    assert_eq!(fingerprint_of(&pair(1).line()), Some(pair(1).fingerprint()));
    assert_eq!(fingerprint_of("ana"), None);
    let filed = parsed.armoured();
    assert_eq!(filed.replace('\n', ""), text.replace('\n', ""));
    assert!(filed.ends_with("-----\n") && filed.lines().all(|line| line.len() <= 70));
    let plain = Signature::parse(signature(&pair(1).public(), pair(1)).as_bytes()).unwrap();
    assert_eq!(plain.authority(), None);
}

#[test]
fn no_byte_of_a_certificate_can_be_changed_or_left_out() {
    let good = draft().signed();
    for at in 0..good.len() {
        for bit in [1, 0x80] {
            let mut bent = good.clone();
            bent[at] ^= bit;
            assert!(check(&signature(&bent, pair(1))).is_err(), "byte {at}");
        }
        assert!(check(&signature(&good[..at], pair(1))).is_err(), "cut at {at}");
    }
    // The holder signs one for themselves, in the name of the authority.
    let forged = Draft {
        authority: pair(1),
        ..draft()
    };
    assert_eq!(
        forged.checked(),
        Err(SigError::CertificateOf("nobody: its authority did not sign it"))
    );
    let stolen = check(&signature(&draft().signed(), pair(3)));
    assert_eq!(stolen, Err(SigError::Mismatch), "somebody else's certificate");
}

#[test]
fn a_certificate_of_anything_else_is_refused_by_name() {
    let option = |name: &[u8], value: &[u8]| strings(&[name, value]);
    let with = |options: Vec<u8>| Draft { options, ..draft() };
    let host = Draft { kind: 2, ..draft() };
    for (made, of) in [
        (host, "a host, not of a person"),
        (
            with(option(b"force-command", &string(b"true"))),
            "a key for one command only",
        ),
        (
            with(option(b"source-address", &string(b"10.0.0.1"))),
            "a key for some addresses only",
        ),
        (
            with(option(b"colour", b"")),
            "a key with a restriction that is not known here",
        ),
        // A plain key asks for no PIN.
        (
            with(option(b"verify-required", b"")),
            "a key that must ask for its PIN, and did not",
        ),
    ] {
        assert_eq!(made.checked(), Err(SigError::CertificateOf(of)));
    }
    for made in [
        Draft {
            tail: vec![0],
            ..draft()
        },
        Draft {
            named: draft().signed(),
            ..draft()
        },
        Draft {
            principals: string(&[0xff]),
            ..draft()
        },
        with(string(b"verify-required")),
    ] {
        assert!(matches!(made.checked(), Err(SigError::Malformed(_))));
    }
}

#[test]
fn a_device_that_must_ask_for_its_pin_has_asked() {
    for (flags, wanted, counts) in [
        (0x01, false, true),
        (0x01, true, false),
        (0x05, true, true),
        (0x04, true, true),
        (0x00, false, true),
        (0xfa, true, false),
    ] {
        let held = Pair {
            seed: 1,
            flags: Some(flags),
        };
        let options = if wanted {
            strings(&[b"verify-required", b""])
        } else {
            Vec::new()
        };
        let made = Draft {
            held,
            options,
            ..draft()
        };
        let key = made.checked();
        assert_eq!(key.is_ok(), counts, "{flags:#04x} {wanted}");
        let plain = check(&signature(&held.public(), held)).unwrap();
        assert_eq!(
            (plain.user_presence, plain.user_verified, plain.counter),
            (Some(flags & 1 == 1), Some(flags >= 4 && flags != 0xfa), Some(7)),
            "{flags:#04x}"
        );
    }
    let plain = check(&signature(&pair(1).public(), pair(1))).unwrap();
    assert_eq!(
        (plain.user_presence, plain.user_verified, plain.counter),
        (None, None, None)
    );
}

#[test]
fn nothing_stands_in_a_signature_but_a_signature() {
    let key = pair(1);
    let text = SshSig::signed_data(NS, HashAlg::Sha512, TEXT).unwrap();
    let signed = key.signs(&text);
    let head = &b"SSHSIG\0\0\0\x01"[..];
    let public = key.public();
    let ns = NS.as_bytes();
    let with = |all: &[&[u8]], tail: &[u8]| check(&armoured(&[head, &strings(all), tail].concat()));
    assert!(with(&[&public, ns, b"", b"sha512", &signed], b"").is_ok());
    let longer = [&signed[..], b"\0"].concat();
    let shorter = &signed[..signed.len() - 1];
    let spare = [&public[..], b"\0"].concat();
    for (all, tail) in [
        (&[&public[..], ns, b"", b"sha512", &signed][..], &b"\0"[..]),
        (&[&public, ns, b"x", b"sha512", &signed], b""),
        (&[&public, ns, b"", b"sha1", &signed], b""),
        (&[&public, ns, b"", b"sha512", &longer], b""),
        (&[&public, ns, b"", b"sha512", shorter], b""),
        (&[&spare, ns, b"", b"sha512", &signed], b""),
        (&[b"", ns, b"", b"sha512", &signed], b""),
        (&[&public, &[0xff], b"", b"sha512", &signed], b""),
    ] {
        assert!(matches!(with(all, tail), Err(SigError::Malformed(_))), "{all:?}");
    }
    let of_sha256 = with(&[&public, ns, b"", b"sha256", &signed], b"");
    assert_eq!(of_sha256, Err(SigError::Mismatch));
    let elsewhere = with(&[&public, b"git", b"", b"sha512", &signed], b"");
    assert!(matches!(elsewhere, Err(SigError::Namespace { .. })));
    // A key in a form of its own, and one that signs with the form of another.
    let device = Pair {
        seed: 1,
        flags: Some(1),
    };
    let other = with(&[&public, ns, b"", b"sha512", &device.signs(&text)], b"");
    assert!(matches!(other, Err(SigError::TypeMismatch { .. })), "{other:?}");
}

/// A key with this certificate, as `verify` hands it on.
fn certified(change: impl FnOnce(&mut Certificate)) -> VerifiedKey {
    let mut key = draft().checked().unwrap();
    if let Some(certificate) = &mut key.certificate {
        change(certificate);
    }
    key
}

#[test]
fn a_certificate_names_one_person_of_the_roster_while_it_is_valid() {
    let authority = pair(2).line();
    let own = pair(1).line();
    let any = format!("*@example.com cert-authority {authority}\n");
    let who = |roster: &str, key: &VerifiedKey, at_s: u64| {
        let at_ms = i64::try_from(at_s * 1000).unwrap();
        Roster::parse(roster.as_bytes())
            .unwrap()
            .who_signed(key, NS, at_ms)
    };
    let key = certified(|_| ());
    for (roster, counts) in [
        (any.clone(), true),
        // Another authority beside it, and a line of it that is for another purpose.
        (
            format!("*@example.com cert-authority {}\n{any}", pair(3).line()),
            true,
        ),
        (
            format!("*@example.com cert-authority,namespaces=\"git\" {authority}\n{any}"),
            true,
        ),
        (format!("{any}{ANA} {own}\n"), true),
        (format!("{any}ben@example.com {}\n", pair(3).line()), true),
        (
            format!("*@example.com cert-authority {}\n", pair(3).line()),
            false,
        ),
        (
            format!("*@example.com cert-authority,namespaces=\"git\" {authority}\n"),
            false,
        ),
        (format!("*@example.com {authority}\n"), false),
        (format!("ben@example.com cert-authority {authority}\n"), false),
        (format!("{any}ben@example.com {own}\n"), false),
        (format!("{any}*@example.org {own}\n"), false),
        (String::new(), false),
    ] {
        let found = who(&roster, &key, NOON_S);
        assert_eq!(found.as_deref() == Ok(ANA), counts, "{roster}: {found:?}");
    }
    for (at, counts) in [
        (NOON_S - 61, false),
        (NOON_S - 60, true),
        (NOON_S + 59, true),
        (NOON_S + 60, false),
    ] {
        assert_eq!(who(&any, &key, at).is_ok(), counts, "{at}");
    }
    let named =
        |names: &[&str]| certified(|c| c.principals = names.iter().map(|n| (*n).to_owned()).collect());
    // Of two names the line may know one.
    let both = named(&[ANA, "ana@vendor.example"]);
    assert_eq!(who(&any, &both, NOON_S).as_deref(), Ok(ANA));
    let two = who(&any, &named(&[ANA, "ben@example.com"]), NOON_S);
    assert!(matches!(two, Err(NotCounted::SeveralNames { .. })), "{two:?}");
    for nobody in [
        &[][..],
        &["ana@vendor.example"],
        &["*@example.com"],
        &["!a@example.com"],
    ] {
        assert!(who(&any, &named(nobody), NOON_S).is_err(), "{nobody:?}");
    }
}

/// A revocation list of these sections.
fn list(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let head = [
        &b"SSHKRL\n\0"[..],
        &[0, 0, 0, 1],
        &[0; 24],
        &strings(&[b"", b"comment"]),
    ]
    .concat();
    let sections = sections
        .iter()
        .flat_map(|(kind, body)| [vec![*kind], string(body)].concat());
    head.into_iter().chain(sections).collect()
}

/// The section of one authority's certificates; no key, of any.
fn of_authority(key: &[u8], parts: &[(u8, Vec<u8>)]) -> (u8, Vec<u8>) {
    let parts = parts
        .iter()
        .flat_map(|(kind, body)| [vec![*kind], string(body)].concat());
    (1, strings(&[key, b""]).into_iter().chain(parts).collect())
}

fn numbers(all: &[u64]) -> Vec<u8> {
    all.iter().flat_map(|n| n.to_be_bytes()).collect()
}

#[test]
fn a_certificate_is_taken_back_by_number_name_or_key_and_no_other_is() {
    let serial = |n| certified(|c| c.serial = n);
    let authority = pair(2).public();
    let revoked = |key: &[u8], kind: u8, body: Vec<u8>| {
        Revoked::parse(&list(&[of_authority(key, &[(kind, body)])])).unwrap()
    };
    let held = |list: &Revoked| -> Vec<u64> { (0..40).filter(|n| list.has_key(&serial(*n))).collect() };
    assert_eq!(held(&revoked(&authority, 0x20, numbers(&[5, 0, 17]))), [5, 17]);
    assert_eq!(
        held(&revoked(&authority, 0x21, numbers(&[0, 3]))),
        [1, 2, 3],
        "no number is none"
    );
    let map = [numbers(&[10]), string(&[0b1000_0001, 0b0000_0110])].concat();
    assert_eq!(held(&revoked(&authority, 0x22, map)), [11, 12, 18, 25]);
    assert_eq!(held(&revoked(b"", 0x20, numbers(&[5]))), [5], "of any authority");
    let other = revoked(&pair(3).public(), 0x20, numbers(&[5]));
    assert!(held(&other).is_empty(), "another's");
    let named = revoked(&authority, 0x23, strings(&[b"ana-phone", b"ana-laptop"]));
    assert!(named.has_key(&serial(0)));
    assert!(!named.has_key(&certified(|c| c.key_id = "ben-laptop".into())));
    // Two sections; the second alone says it.
    let two = list(&[
        of_authority(&authority, &[(0x20, numbers(&[5])), (0x21, numbers(&[7, 8]))]),
        of_authority(&authority, &[(0x20, numbers(&[9]))]),
    ]);
    assert_eq!(held(&Revoked::parse(&two).unwrap()), [5, 7, 8, 9]);
    // By the key itself, its own or the authority's; a plain key is not asked for a certificate.
    let mut plain = certified(|_| ());
    plain.certificate = None;
    let by_key = |seed| Revoked::parse(format!("{}\n", pair(seed).line()).as_bytes()).unwrap();
    assert!(by_key(1).has_key(&plain) && by_key(1).has_key(&serial(1)));
    assert!(by_key(2).has_key(&serial(1)) && !by_key(2).has_key(&plain));
    assert!(!by_key(3).has_key(&serial(1)) && !Revoked::default().has_key(&plain));
}

#[test]
fn a_revocation_list_with_anything_else_in_it_is_refused_whole() {
    let key = pair(2).public();
    let of = |kind, body| of_authority(&key, &[(kind, body)]);
    for section in [
        of(0x20, vec![0; 7]),
        of(0x20, vec![0; 9]),
        of(0x21, numbers(&[1])),
        of(0x21, [numbers(&[1, 2]), vec![0]].concat()),
        of(0x22, numbers(&[1])),
        of(0x22, [numbers(&[1]), string(&[1]), vec![0]].concat()),
        of(0x23, vec![0, 0, 0, 9]),
    ] {
        assert_eq!(
            Revoked::parse(&list(std::slice::from_ref(&section))),
            Err(RevokedError::Damaged),
            "{section:?}"
        );
    }
    for (section, what) in [
        (of(0x39, Vec::new()), "an extension"),
        ((3, string(b"hash")), "SHA-1 fingerprints"),
        ((4, string(b"signature")), "a signature"),
        ((255, Vec::new()), "an extension"),
    ] {
        assert_eq!(
            Revoked::parse(&list(&[section])),
            Err(RevokedError::Unsupported(what))
        );
    }
    // `ssh-keygen` writes this one when it has nothing to say in it; what follows counts.
    let empty = list(&[(3, Vec::new()), (2, string(&key))]);
    assert!(Revoked::parse(&empty).unwrap().has(&pair(2).fingerprint()));
    let mut newer = list(&[]);
    newer[11] = 2;
    assert_eq!(
        Revoked::parse(&newer),
        Err(RevokedError::Unsupported("another version"))
    );
}

#[test]
fn a_list_holds_another_where_it_takes_back_all_of_it() {
    let key = |seed| (2, string(&pair(seed).public()));
    let serial = |n| of_authority(&pair(2).public(), &[(0x20, numbers(&[n]))]);
    let read = |sections: &[(u8, Vec<u8>)]| Revoked::parse(&list(sections)).unwrap();
    let all = read(&[key(1), key(2), serial(5), serial(6)]);
    for (part, held) in [
        (vec![], true),
        (vec![key(1)], true),
        (vec![serial(5)], true),
        (vec![key(2), serial(6), serial(5)], true),
        (vec![key(3)], false),
        (vec![serial(7)], false),
        (vec![key(1), serial(7)], false),
        (vec![key(3), serial(5)], false),
        (vec![serial(5), serial(7)], false),
    ] {
        assert_eq!(all.holds_all(&read(&part)), held, "{part:?}");
    }
}

fn roster(text: &str) -> Roster {
    Roster::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_roster_is_empty_where_nobody_could_sign_anything() {
    let (one, two) = (pair(1).line(), pair(2).line());
    for (text, empty) in [
        (String::new(), true),
        (format!("*@example.com {one}\n"), true),
        (format!("*@example.com {one}\na?b {two}\n"), true),
        (format!("*@example.com cert-authority {one}\n"), false),
        (format!("x@example.com cert-authority {one}\n"), false),
        (format!("{ANA} {one}\n"), false),
        (format!("*@example.com {two}\n{ANA} {one}\n"), false),
        (
            format!("*@example.com {two}\n*@example.com cert-authority {one}\n"),
            false,
        ),
    ] {
        assert_eq!(roster(&text).is_empty(), empty, "{text}");
    }
}

#[test]
fn an_authority_vouches_for_whom_its_line_names_and_a_plain_key_for_nobody() {
    let key = pair(1).line();
    for (line, vouches) in [
        (
            format!("*@example.com,!kim@example.com cert-authority {key}\n"),
            true,
        ),
        (format!("*@vendor.example cert-authority {key}\n"), false),
        (format!("*@example.com {key}\n"), false),
        (format!("{ANA} {key}\n"), false),
    ] {
        let r = roster(&line);
        assert_eq!(r.entries()[0].vouches_for(ANA), vouches, "{line}");
        assert!(!r.entries()[0].vouches_for("kim@example.com"), "{line}");
    }
}

#[test]
fn each_finds_their_own_keys_and_nobody_elses() {
    let (one, two) = (pair(1).line(), pair(2).line());
    let r = roster(&format!("{ANA} {one}\nben@example.com,b@example.com {two}\n"));
    let at_ms = i64::try_from(NOON_S * 1000).unwrap();
    assert_eq!(r.who(&pair(1).fingerprint(), NS, at_ms), Ok(ANA));
    let keys: Vec<&str> = r.keys_of("ANA@example.com").collect();
    assert_eq!(keys, [pair(1).fingerprint()]);
    assert_eq!(r.keys_of("B@example.com").count(), 1);
    assert_eq!(r.keys_of("kim@example.com").count(), 0);
    let holds = |r: &Roster, person: &str, key: &str| {
        let key = key.to_owned().try_into().unwrap();
        let person = person.to_owned();
        r.another_holds(&Recipient { person, key }).map(str::to_owned)
    };
    assert_eq!(holds(&r, "Ana@example.com", &one), None);
    assert_eq!(holds(&r, "kim@example.com", &one).as_deref(), Some(ANA));
    assert_eq!(holds(&r, ANA, &two).as_deref(), Some("ben@example.com"));
    let without = roster(&format!("ben@example.com {two}\n"));
    assert_eq!(holds(&without, "kim@example.com", &one), None);
}
