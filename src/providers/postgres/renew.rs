//! A new login that may do what the old role might: a member of it, while the old one stays without a login.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};
use url::Url;

use super::roles::{Office, Saved, identifier, literal};
use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::providers::desk::{error, noted, responders};
use crate::providers::{Ctx, New, Renewable};
use crate::world::World;

/// What the server's own clients choose, too.
const ROUNDS: u32 = 4096;

/// Whether there is one role whose rights the new login can have.
pub(super) fn renewable(saved: &[u8]) -> Renewable {
    match serde_json::from_slice::<Saved>(saved) {
        Ok(saved) => match saved.roles.as_slice() {
            [one] => Renewable::With(format!(
                "those of role {}, as a member of it and nothing more",
                one.name
            )),
            [] => Renewable::No("no role that could log in was saved before the cut".to_owned()),
            _ => Renewable::No(
                "several roles were cut, and a new login would take the place of one".to_owned(),
            ),
        },
        Err(_) => Renewable::No("what was saved before the cut cannot be read".to_owned()),
    }
}

/// Makes the login and tries it.
pub(super) async fn renew(
    ctx: Ctx<'_>,
    target: &Target,
    saved: &[u8],
    service: &str,
) -> Result<New, Vec<Fact>> {
    let cannot = |text: &str| vec![error(text)];
    let saved: Saved =
        serde_json::from_slice(saved).map_err(|_| cannot("what was saved before the cut cannot be read"))?;
    let [was] = saved.roles.as_slice() else {
        return Err(cannot("not one role was cut, but several or none"));
    };
    let auth = responders(ctx).map_err(|fact| vec![fact])?;
    let mut url = Url::parse(auth.expose()).map_err(|_| cannot("the responder's credential is no URL"))?;
    let office = Office::open(ctx, target).await.map_err(|fact| vec![fact])?;
    // By its OID: a role that was made anew under the name may do something else.
    let Some(now) = office.roles.iter().find(|role| role.oid == was.oid) else {
        return Err(cannot(
            "the role was dropped since, or made anew: what it might do is no longer there to be had",
        ));
    };
    let (name, password) =
        made_up(ctx.world, service).ok_or_else(|| cannot("the system gives no random bytes"))?;
    let verifier =
        verifier(ctx.world, &password).ok_or_else(|| cannot("the system gives no random bytes"))?;
    // One statement, and nothing in it that a log of statements should not hold.
    let sql = format!(
        "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
         CONNECTION LIMIT {} PASSWORD {} IN ROLE {}",
        identifier(&name),
        was.limit,
        literal(&verifier),
        identifier(&now.name)
    );
    office.desk.ask(&sql).await.map_err(|fact| vec![fact])?;
    let set = url
        .set_username(&name)
        .and(url.set_password(Some(password.expose())));
    let secret = match set {
        Ok(()) => Secret::new(url.into()),
        Err(()) => password,
    };
    let tried = match ctx.world.sql.open(&secret, crate::providers::desk::LIMIT).await {
        Ok(_) => noted("tried", "the new login works"),
        Err(e) => crate::providers::desk::failed(ctx, &e),
    };
    Ok(New {
        name,
        secret,
        facts: vec![tried],
    })
}

/// A name nobody has yet, and a password of 192 random bits.
fn made_up(world: &World, service: &str) -> Option<(String, Secret)> {
    let (mut tail, mut bytes) = ([0_u8; 3], [0_u8; 24]);
    world.entropy.fill(&mut tail).ok()?;
    world.entropy.fill(&mut bytes).ok()?;
    let tail: String = tail.iter().map(|b| format!("{b:02x}")).collect();
    let password = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes);
    Some((format!("{service}-{tail}"), Secret::new(password)))
}

/// What the server keeps instead of the password (RFC 5803), so that the password never goes over the wire.
fn verifier(world: &World, password: &Secret) -> Option<String> {
    let mut salt = [0_u8; 16];
    world.entropy.fill(&mut salt).ok()?;
    scram(password, &salt)
}

fn scram(password: &Secret, salt: &[u8]) -> Option<String> {
    let rounds = std::num::NonZeroU32::new(ROUNDS)?;
    let mut salted = zeroize::Zeroizing::new([0_u8; digest::SHA256_OUTPUT_LEN]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        salt,
        password.expose().as_bytes(),
        &mut *salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    Some(format!(
        "SCRAM-SHA-256${ROUNDS}:{}${}:{}",
        BASE64_STANDARD.encode(salt),
        BASE64_STANDARD.encode(stored),
        BASE64_STANDARD.encode(server)
    ))
}
