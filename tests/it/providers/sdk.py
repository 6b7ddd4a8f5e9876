"""sdk.py ROOT: lets the vendors' own client libraries send the requests that our tables send.

Each goes to ROOT/PROVIDER/PHASE/…, where a test records it. Answers are of no interest: what a library
makes of them is its own affair. The secrets are made up.
"""

import sys

ROOT = sys.argv[1]
AUTH, SECRET = "made-up-of-the-responder", "made-up-of-the-agent"


def anthropic(where, key):
    from anthropic import Anthropic

    return Anthropic(api_key=key, base_url=where, max_retries=0, timeout=5)


def openai(where, key):
    from openai import OpenAI

    return OpenAI(api_key=key, admin_api_key=key, base_url=where + "/v1", max_retries=0, timeout=5)


def gitlab(where, key):
    import gitlab

    return gitlab.Gitlab(where, private_token=key, retry_transient_errors=False, timeout=5)


def cloudflare(where, key):
    from cloudflare import Cloudflare

    return Cloudflare(api_token=key, base_url=where + "/client/v4", max_retries=0, timeout=5)


def slack(where, key):
    from slack_sdk import WebClient

    return WebClient(token=key, base_url=where + "/api/", timeout=5)


def stripe(where, key):
    import stripe

    return stripe.StripeClient(key, base_addresses={"api": where}, max_network_retries=0)


def project(client):
    return client.projects.get("shop", lazy=True)


TOKEN = {"name": "deploy", "policies": [{"effect": "allow", "id": "p1"}], "status": "disabled"}

CALLS = [
    ("anthropic-key", anthropic, {
        "cut": (AUTH, lambda c: c.organization.api_keys.update("apikey_1", status="inactive")),
        "lookup": (AUTH, lambda c: c.organization.api_keys.retrieve("apikey_1")),
        "use": (SECRET, lambda c: c.models.list(limit=1)),
    }),
    ("anthropic-deployment", anthropic, {
        "cut": (AUTH, lambda c: c.beta.deployments.pause("depl_1")),
        "lookup": (AUTH, lambda c: c.beta.deployments.retrieve("depl_1")),
    }),
    ("anthropic-session", anthropic, {
        "cut": (AUTH, lambda c: c.beta.sessions.events.send("sess_1", events=[{"type": "user.interrupt"}])),
        "lookup": (AUTH, lambda c: c.beta.sessions.retrieve("sess_1")),
    }),
    ("cloudflare-token", cloudflare, {
        "cut": (AUTH, lambda c: c.user.tokens.update("t1", **TOKEN)),
        "lookup": (AUTH, lambda c: c.user.tokens.get("t1")),
        "use": (SECRET, lambda c: c.user.tokens.verify()),
    }),
    ("gitlab", gitlab, {
        "cut": (SECRET, lambda c: c.personal_access_tokens.delete("self")),
        "use": (SECRET, lambda c: c.personal_access_tokens.get("self")),
    }),
    ("gitlab-token", gitlab, {
        "cut": (AUTH, lambda c: c.personal_access_tokens.delete(7)),
        "lookup": (AUTH, lambda c: c.personal_access_tokens.get(7)),
        "use": (SECRET, lambda c: c.personal_access_tokens.get("self")),
    }),
    ("gitlab-access-token", gitlab, {
        "cut": (AUTH, lambda c: project(c).access_tokens.delete(7)),
        "lookup": (AUTH, lambda c: project(c).access_tokens.get(7)),
    }),
    ("gitlab-ci", gitlab, {
        "cut": (AUTH, lambda c: c.projects.update("shop", {"builds_access_level": "disabled"})),
        "lookup": (AUTH, lambda c: c.projects.get("shop")),
    }),
    ("gitlab-schedule", gitlab, {
        "cut": (AUTH, lambda c: project(c).pipelineschedules.update(3, {"active": False})),
        "lookup": (AUTH, lambda c: project(c).pipelineschedules.get(3)),
    }),
    ("gitlab-user", gitlab, {
        "cut": (AUTH, lambda c: c.users.get(42, lazy=True).block()),
        "lookup": (AUTH, lambda c: c.users.get(42)),
        "use": (SECRET, lambda c: c.auth()),
    }),
    ("openai-key", openai, {
        "cut": (AUTH, lambda c: c.admin.organization.projects.api_keys.delete("key_1", project_id="proj_1")),
        "lookup": (AUTH, lambda c: c.admin.organization.projects.api_keys.retrieve("key_1", project_id="proj_1")),
        "use": (SECRET, lambda c: c.models.list()),
    }),
    ("openai-service-account", openai, {
        "cut": (AUTH, lambda c: c.admin.organization.projects.service_accounts.delete("svc_1", project_id="proj_1")),
        "lookup": (AUTH, lambda c: c.admin.organization.projects.service_accounts.retrieve("svc_1", project_id="proj_1")),
    }),
    ("openai-admin-key", openai, {
        "cut": (AUTH, lambda c: c.admin.organization.admin_api_keys.delete("key_1")),
        "lookup": (AUTH, lambda c: c.admin.organization.admin_api_keys.retrieve("key_1")),
        "use": (SECRET, lambda c: c.admin.organization.admin_api_keys.list(limit=1)),
    }),
    ("openai-response", openai, {
        "cut": (AUTH, lambda c: c.responses.cancel("resp_1")),
        "lookup": (AUTH, lambda c: c.responses.retrieve("resp_1")),
    }),
    ("slack", slack, {
        "cut": (SECRET, lambda c: c.auth_revoke()),
        "use": (SECRET, lambda c: c.auth_test()),
    }),
    ("stripe-webhook", stripe, {
        "cut": (AUTH, lambda c: c.v1.webhook_endpoints.update("we_1", {"disabled": True})),
        "lookup": (AUTH, lambda c: c.v1.webhook_endpoints.retrieve("we_1")),
    }),
]

for provider, connect, phases in CALLS:
    for phase, (key, call) in phases.items():
        try:
            call(connect(f"{ROOT}/{provider}/{phase}", key))
        except (AttributeError, ImportError, TypeError):
            # The library is not the one this was written for.
            raise
        except Exception as answer:
            print(f"{provider}/{phase}: {type(answer).__name__}", file=sys.stderr)
