// node --input-type=module - ROOT < sdk.mjs, in the folder of the libraries: lets the vendors' own client
// libraries send the requests that our tables send.
//
// Each goes to ROOT/PROVIDER/PHASE/…, where a test records it. Answers are of no interest: what a library
// makes of them is its own affair. The secrets are made up.

import okta from '@okta/okta-sdk-nodejs';
import { createApiClient } from '@neondatabase/api-client';
import { Octokit } from '@octokit/rest';
import { SupabaseManagementAPI } from 'supabase-management-js';
import { Vercel } from '@vercel/sdk';

const root = process.argv[2];
const AUTH = 'made-up-of-the-responder';
const SECRET = 'made-up-of-the-agent';
const REPO = { owner: 'acme', repo: 'shop' };

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const github = (where, key) => new Octokit({ auth: key, baseUrl: where, log: silent }).rest;
const vercel = (where, key) => new Vercel({ bearerToken: key, serverURL: where });
const neon = (where, key) => createApiClient({ apiKey: key, baseURL: where + '/api/v2' });
const supabase = (where, key) => new SupabaseManagementAPI({ accessToken: key, baseUrl: where });
const oktaOf = (where, key) => new okta.Client({ orgUrl: where, token: key, testing: { disableHttpsCheck: true } });

const CALLS = [
  ['github', github, {
    cut: [undefined, (c) => c.credentials.revoke({ credentials: [SECRET] })],
    use: [SECRET, (c) => c.users.getAuthenticated()],
  }],
  ['github-actions', github, {
    cut: [AUTH, (c) => c.actions.setGithubActionsPermissionsRepository({ ...REPO, enabled: false })],
    lookup: [AUTH, (c) => c.actions.getGithubActionsPermissionsRepository(REPO)],
  }],
  ['github-app', github, {
    cut: [AUTH, (c) => c.apps.suspendInstallation({ installation_id: 1 })],
    lookup: [AUTH, (c) => c.apps.getInstallation({ installation_id: 1 })],
    use: [SECRET, (c) => c.apps.listReposAccessibleToInstallation({ per_page: 1 })],
  }],
  ['github-deploy-key', github, {
    cut: [AUTH, (c) => c.repos.deleteDeployKey({ ...REPO, key_id: 7 })],
    lookup: [AUTH, (c) => c.repos.getDeployKey({ ...REPO, key_id: 7 })],
  }],
  ['github-installation', github, {
    cut: [SECRET, (c) => c.apps.revokeInstallationAccessToken()],
    use: [SECRET, (c) => c.apps.listReposAccessibleToInstallation({ per_page: 1 })],
  }],
  ['github-repository-access', github, {
    cut: [AUTH, (c) => c.apps.removeRepoFromInstallationForAuthenticatedUser({ installation_id: 1, repository_id: 77 })],
  }],
  ['github-workflow', github, {
    cut: [AUTH, (c) => c.actions.disableWorkflow({ ...REPO, workflow_id: 'agent.yml' })],
    lookup: [AUTH, (c) => c.actions.getWorkflow({ ...REPO, workflow_id: 'agent.yml' })],
  }],
  ['neon-endpoint', neon, {
    cut: [AUTH, (c) => c.updateProjectEndpoint('p1', 'ep-1', { endpoint: { disabled: true } })],
    lookup: [AUTH, (c) => c.getProjectEndpoint('p1', 'ep-1')],
  }],
  ['neon-key', neon, {
    cut: [AUTH, (c) => c.revokeApiKey(165432)],
    lookup: [AUTH, (c) => c.listApiKeys()],
    use: [SECRET, (c) => c.listProjects({ limit: 1 })],
  }],
  ['okta', oktaOf, {
    cut: [SECRET, (c) => c.apiTokenApi.revokeCurrentApiToken()],
    use: [SECRET, (c) => c.userApi.getUser({ userId: 'me' })],
  }],
  ['okta-app', oktaOf, {
    cut: [AUTH, (c) => c.applicationApi.deactivateApplication({ appId: '0oa1' })],
    lookup: [AUTH, (c) => c.applicationApi.getApplication({ appId: '0oa1' })],
  }],
  ['okta-token', oktaOf, {
    cut: [AUTH, (c) => c.apiTokenApi.revokeApiToken({ apiTokenId: '00T1' })],
    lookup: [AUTH, (c) => c.apiTokenApi.getApiToken({ apiTokenId: '00T1' })],
  }],
  ['okta-user', oktaOf, {
    cut: [AUTH, (c) => c.userApi.suspendUser({ userId: '00u1' })],
    lookup: [AUTH, (c) => c.userApi.getUser({ userId: '00u1' })],
  }],
  ['supabase-key', supabase, {
    cut: [AUTH, (c) => c.deleteProjectApiKey('abcd', 'k1', { was_compromised: true, reason: 'incident' })],
    lookup: [AUTH, (c) => c.getProjectApiKey('abcd', 'k1')],
  }],
  ['supabase-legacy-keys', supabase, {
    cut: [AUTH, (c) => c.updateProjectLegacyApiKeys('abcd', { enabled: false })],
    lookup: [AUTH, (c) => c.getProjectLegacyApiKeys('abcd')],
  }],
  ['supabase-token', supabase, {
    use: [SECRET, (c) => c.listAllOrganizations()],
  }],
  ['vercel', vercel, {
    cut: [SECRET, (c) => c.authentication.deleteAuthToken({ tokenId: 'current' })],
    use: [SECRET, (c) => c.user.getAuthUser()],
  }],
  ['vercel-token', vercel, {
    cut: [AUTH, (c) => c.authentication.deleteAuthToken({ tokenId: '5d9f' })],
    lookup: [AUTH, (c) => c.authentication.getAuthToken({ tokenId: '5d9f' })],
  }],
];

for (const [provider, connect, phases] of CALLS) {
  for (const [phase, [key, call]] of Object.entries(phases)) {
    try {
      await call(connect(`${root}/${provider}/${phase}`, key));
    } catch (answer) {
      // The library is not the one this was written for.
      if (answer instanceof TypeError) throw answer;
      console.error(`${provider}/${phase}: ${answer.constructor.name}`);
    }
  }
}
// Some keep connections open.
process.exit(0);
