"""sdk.py ROOT DESCRIPTIONS: lets the vendors' own client libraries send the requests that our tables send.

Each goes to ROOT/PROVIDER/PHASE/…, where a test records it. Answers are of no interest: what a library
makes of them is its own affair. The secrets are made up.
"""

import asyncio
import json
import sys
import uuid

ROOT, DESCRIPTIONS = sys.argv[1:]
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


def google(name):
    def connect(where, key):
        from google.oauth2.credentials import Credentials
        from googleapiclient.discovery import build_from_document

        with open(f"{DESCRIPTIONS}/{name}.v1.json", encoding="utf-8") as file:
            described = json.load(file)
        return build_from_document(described, credentials=Credentials(key), client_options={"api_endpoint": where})

    return connect


def gemini(where, key):
    from google import genai

    return genai.Client(api_key=key, http_options={"base_url": where, "timeout": 5000})


def graph(where, key):
    from kiota_abstractions.api_client_builder import register_default_serializer
    from kiota_abstractions.authentication import AuthenticationProvider
    from kiota_http.httpx_request_adapter import HttpxRequestAdapter
    from kiota_serialization_json.json_serialization_writer_factory import JsonSerializationWriterFactory

    class Login(AuthenticationProvider):
        async def authenticate_request(self, request, additional_authentication_context=None):
            request.headers.try_add("Authorization", f"Bearer {key}")

    register_default_serializer(JsonSerializationWriterFactory)
    adapter = HttpxRequestAdapter(Login())
    adapter.base_url = where + "/v1.0"
    return adapter


def user(adapter):
    from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder

    return UserItemRequestBuilder(adapter, {"baseurl": adapter.base_url, "user%2Did": "u1"})


def principal(adapter):
    from msgraph.generated.service_principals.item.service_principal_item_request_builder import (
        ServicePrincipalItemRequestBuilder,
    )

    return ServicePrincipalItemRequestBuilder(adapter, {"baseurl": adapter.base_url, "servicePrincipal%2Did": "aa-bb"})


def disabled(kind):
    from importlib import import_module

    module = import_module("msgraph.generated.models." + kind)
    return getattr(module, kind.title().replace("_", ""))(account_enabled=False)


def remove_password(adapter):
    from msgraph.generated.applications.item.application_item_request_builder import ApplicationItemRequestBuilder
    from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
        RemovePasswordPostRequestBody,
    )

    application = ApplicationItemRequestBuilder(adapter, {"baseurl": adapter.base_url, "application%2Did": "ee-ff"})
    asyncio.run(application.remove_password.post(RemovePasswordPostRequestBody(key_id=uuid.UUID(KEY_ID))))


def project(client):
    return client.projects.get("shop", lazy=True)


TOKEN = {"name": "deploy", "policies": [{"effect": "allow", "id": "p1"}], "status": "disabled"}

KEY_ID = "00000000-0000-0000-0000-000000000007"
ACCOUNT = "projects/shop/serviceAccounts/bot@shop.example"
JOB = "projects/shop/locations/europe-west1/jobs/nightly"

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
    ("entra-secret", graph, {
        "cut": (AUTH, remove_password),
    }),
    ("entra-service-principal", graph, {
        "cut": (AUTH, lambda a: asyncio.run(principal(a).patch(disabled("service_principal")))),
    }),
    ("entra-user", graph, {
        "cut": (AUTH, lambda a: asyncio.run(user(a).patch(disabled("user")))),
    }),
    ("gcp-key", google("iam"), {
        "cut": (AUTH, lambda c: c.projects().serviceAccounts().keys().disable(name=ACCOUNT + "/keys/f00d", body={}).execute()),
        "lookup": (AUTH, lambda c: c.projects().serviceAccounts().keys().get(name=ACCOUNT + "/keys/f00d").execute()),
    }),
    ("gcp-schedule", google("cloudscheduler"), {
        "cut": (AUTH, lambda c: c.projects().locations().jobs().pause(name=JOB, body={}).execute()),
        "lookup": (AUTH, lambda c: c.projects().locations().jobs().get(name=JOB).execute()),
    }),
    ("gcp-service-account", google("iam"), {
        "cut": (AUTH, lambda c: c.projects().serviceAccounts().disable(name=ACCOUNT, body={}).execute()),
        "lookup": (AUTH, lambda c: c.projects().serviceAccounts().get(name=ACCOUNT).execute()),
        "use": (SECRET, lambda c: c.projects().serviceAccounts().get(name=ACCOUNT).execute()),
    }),
    ("gemini-interaction", gemini, {
        "cut": (AUTH, lambda c: c.interactions.cancel(id="int-1")),
        "lookup": (AUTH, lambda c: c.interactions.get(id="int-1")),
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
    ("stripe-key", stripe, {
        "use": (SECRET, lambda c: c.v1.balance.retrieve()),
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
