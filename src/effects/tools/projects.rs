//! Migrations, package managers and build tools: what a project's own files decide.

use crate::model::effect::Effect::{
    self, BulkData, ConfigChange, CredentialChange, Deploy, OneWay, Read, SchemaChange, SecurityConfig,
    Unknown,
};

use crate::effects::eye::{Cmd, Eye};
use crate::effects::options::{Options, Verbs};
use crate::effects::words::Word;

const WIPE: &[Effect] = &[SchemaChange, BulkData, OneWay];
const MIGRATE: &[Effect] = &[SchemaChange, Unknown];

const MIGRATIONS: Verbs = Verbs {
    tool: "migrations",
    options: Options {
        valued: "--schema --config -c -n --name -x --url --database-url -path -database -dir --env -e --changelog-file --defaults-file --settings",
        flags: "-q --quiet -v --verbose --trace --no-color",
    },
    rows: &[
        ("migrate reset", WIPE),
        ("migrate deploy", MIGRATE),
        ("migrate dev", &[SchemaChange, BulkData, OneWay, Unknown]),
        ("migrate status", &[Read]),
        ("migrate diff", &[Read]),
        ("migrate resolve", &[SchemaChange]),
        ("db push", &[SchemaChange, BulkData, OneWay]),
        ("db reset", WIPE),
        ("db execute", &[Unknown]),
        ("db seed", &[BulkData, Unknown]),
        ("db dump", &[Effect::DataWrite]),
        ("db diff", &[Effect::DataWrite]),
        ("db pull", &[ConfigChange]),
        ("validate", &[Read]),
        ("generate", &[ConfigChange]),
        ("push", &[SchemaChange, BulkData, OneWay]),
        ("drop", WIPE),
        ("check", &[Read]),
        ("db:drop", WIPE),
        ("db:reset", WIPE),
        ("db:schema:load", WIPE),
        ("schema:load", WIPE),
        ("db:truncate_all", WIPE),
        ("db:migrate:reset", WIPE),
        ("db:migrate:status", &[Read]),
        ("db:version", &[Read]),
        ("db:rollback", &[SchemaChange, BulkData, OneWay]),
        ("db:wipe", WIPE),
        ("db:migrate:undo:all", WIPE),
        ("db:migrate:undo", &[SchemaChange, BulkData, OneWay]),
        ("ecto.drop", WIPE),
        ("ecto.reset", WIPE),
        ("ecto.rollback", &[SchemaChange, BulkData, OneWay]),
        ("ecto.migrations", &[Read]),
        ("ecto.*", MIGRATE),
        ("database drop", WIPE),
        ("database reset", WIPE),
        ("ef database drop", WIPE),
        ("ef database update", MIGRATE),
        ("doctrine:schema:drop", WIPE),
        ("doctrine:database:drop", WIPE),
        ("doctrine:fixtures:load", &[BulkData, OneWay]),
        ("doctrine:*", MIGRATE),
        ("db:*", MIGRATE),
        ("schema:drop", WIPE),
        ("schema:sync", WIPE),
        ("migration:revert", &[SchemaChange, BulkData, OneWay]),
        ("migration:show", &[Read]),
        ("migrate:fresh", WIPE),
        ("migrate:reset", WIPE),
        ("migrate:refresh", WIPE),
        ("migrate:rollback", &[SchemaChange, BulkData, OneWay]),
        ("migrate:status", &[Read]),
        ("migrate:list", &[Read]),
        ("migrate:*", MIGRATE),
        ("flush", WIPE),
        ("reset_db", WIPE),
        ("sqlflush", &[Read]),
        ("showmigrations", &[Read]),
        ("sqlmigrate", &[Read]),
        ("changepassword", &[CredentialChange]),
        ("createsuperuser", &[CredentialChange]),
        ("downgrade", &[SchemaChange, BulkData, OneWay]),
        ("upgrade", MIGRATE),
        ("stamp", &[SchemaChange]),
        ("current", &[Read]),
        ("history", &[Read]),
        ("heads", &[Read]),
        ("clean", WIPE),
        ("info", &[Read]),
        ("status", &[Read]),
        ("history-show", &[Read]),
        ("drop-all", WIPE),
        ("dropall", WIPE),
        ("update", MIGRATE),
        ("rollback", &[SchemaChange, BulkData, OneWay]),
        ("down", &[SchemaChange, BulkData, OneWay]),
        ("reset", WIPE),
        ("up", MIGRATE),
        ("migrate", MIGRATE),
        ("metadata clear", &[ConfigChange, BulkData, OneWay]),
        ("metadata", &[ConfigChange]),
        ("version", &[Read]),
    ],
};

/// `prisma`, `rails`, `alembic`, `flyway` and their kind.
pub(super) fn migrations(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    MIGRATIONS.look(eye, cmd);
    // `rake db:version db:reset` does one after the other.
    let tasks: Vec<&Word> = cmd
        .args
        .iter()
        .filter(|arg| !arg.text.starts_with('-') && !arg.text.contains('='))
        .collect();
    if matches!(cmd.name, "rails" | "rake" | "mix" | "manage.py") && tasks.len() > 1 {
        for task in tasks.iter().skip(1).filter(|task| task.text.contains([':', '.'])) {
            let args = [(*task).clone()];
            MIGRATIONS.look(eye, &Cmd { args: &args, ..*cmd });
        }
    }
    if cmd
        .args
        .iter()
        .any(|arg| arg.text.starts_with("--accept-data-loss") || arg.text.starts_with("--force"))
    {
        eye.see_all(&[BulkData, OneWay], &cmd.text(), "migrations.forced");
    }
}

const PACKAGES: Verbs = Verbs {
    tool: "packages",
    options: Options {
        valued: "--prefix -C --dir --cwd --registry -w --workspace -o -t",
        flags: "-y --yes -q --quiet -qq --silent -s -g --global --no-color",
    },
    rows: &[
        ("ls", &[Read]),
        ("list", &[Read]),
        ("view", &[Read]),
        ("show", &[Read]),
        ("info", &[Read]),
        ("outdated", &[Read]),
        ("why", &[Read]),
        ("search", &[Read]),
        ("policy", &[Read]),
        ("freeze", &[Read]),
        ("version", &[Read]),
        ("whoami", &[Read]),
        ("install", &[ConfigChange, Unknown]),
        ("ci", &[ConfigChange, Unknown]),
        ("add", &[ConfigChange, Unknown]),
        ("update", &[ConfigChange, Unknown]),
        ("upgrade", &[ConfigChange, Unknown]),
        ("dist-upgrade", &[ConfigChange, Unknown]),
        ("remove", &[ConfigChange, Unknown]),
        ("purge", &[ConfigChange, OneWay, Unknown]),
        ("autoremove", &[ConfigChange, Unknown]),
        ("uninstall", &[ConfigChange, Unknown]),
        ("publish", &[Deploy, OneWay]),
        ("unpublish", &[Deploy, OneWay]),
        ("deprecate", &[Deploy]),
        ("yank", &[Deploy, OneWay]),
        ("token", &[CredentialChange]),
        ("login", &[CredentialChange]),
        ("run", &[Unknown]),
        ("exec", &[Unknown]),
    ],
};

/// `npm`, `pip`, `apt`, `cargo`: a script behind `run` is whatever the project says.
pub(super) fn packages(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let row = PACKAGES.look(eye, cmd);
    let (words, _) = PACKAGES.words(cmd.args);
    let dlx = matches!(words.first(), Some(&("dlx" | "exec" | "x" | "run")));
    if dlx || row.is_none() {
        // The name may be a known tool's: `pnpm dlx prisma migrate reset`.
        let first = words.get(usize::from(dlx)).copied().unwrap_or_default();
        if let Some(at) = cmd
            .args
            .iter()
            .position(|arg| arg.text == first && !first.is_empty())
        {
            eye.command(cmd.args.get(at..).unwrap_or_default(), &cmd.stdin);
        }
        eye.unknown(&line, "packages.runs-script");
    }
}

/// `dpkg`, `rpm`: asking reads.
pub(super) fn package_query(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let first = cmd.args.first().map_or("", |arg| arg.text.as_str());
    let asks = match cmd.name {
        "rpm" => first.starts_with("-q") || first == "--query" || first == "-V",
        _ => matches!(
            first,
            "-l" | "-L"
                | "-s"
                | "-S"
                | "-p"
                | "--list"
                | "--status"
                | "--listfiles"
                | "--search"
                | "-V"
                | "--get-selections"
                | "--print-architecture"
        ),
    };
    if asks && cmd.args.iter().skip(1).all(|arg| !arg.text.starts_with('-')) {
        eye.see(Read, &line, "packages.query");
    } else {
        eye.see_all(&[ConfigChange, Unknown], &line, "packages.change");
    }
}

/// Agents' own programs: starting one again, or taking its guards away.
pub(super) fn agents(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if matches!(cmd.args, [only] if matches!(only.text.as_str(), "--version" | "-v")) {
        return eye.see(Read, &line, "agent.version");
    }
    eye.unknown(&line, "agent.runs");
    let off = [
        "--dangerously",
        "--yolo",
        "--allow-all",
        "bypass",
        "never",
        "--force",
    ];
    if cmd
        .args
        .iter()
        .any(|arg| off.iter().any(|word| arg.text.contains(word)))
    {
        eye.see(SecurityConfig, &line, "agent.guards-off");
    }
    if cmd
        .args
        .iter()
        .any(|arg| matches!(arg.text.as_str(), "purge" | "delete" | "--delete-session"))
    {
        eye.see(OneWay, &line, "agent.deletes-record");
    }
}
