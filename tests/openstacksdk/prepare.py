"""prepare.py KEYSTONE_PORT PROXY_PORT WORKDIR: makes what the tests expect of a cloud, and writes WORKDIR/clouds.yaml."""
import json, os, sys, urllib.request

keystone, proxy, folder = sys.argv[1:]
KEYSTONE, NETWORK = f'http://127.0.0.1:{keystone}/v3', f'http://127.0.0.1:{proxy}/v2.0'
ADMIN = 'b' * 31 + '0'


def call(method, url, body=None, token=None):
    headers = {'Content-Type': 'application/json'} | ({'X-Auth-Token': token} if token else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
        text = answer.read()
        return json.loads(text) if text else None, answer.headers


def token():
    domain = {'name': 'Default'}
    user = {'name': 'admin', 'domain': domain, 'password': 'secret'}
    scope = {'project': {'name': 'admin', 'domain': domain}}
    identity = {'methods': ['password'], 'password': {'user': user}}
    _, headers = call('POST', KEYSTONE + '/auth/tokens', {'auth': {'identity': identity, 'scope': scope}})
    return headers['X-Subject-Token']


def project(name, admin):
    made, _ = call('POST', KEYSTONE + '/projects', {'project': {'name': name, 'domain_id': 'default'}}, admin)
    user = {'name': name, 'password': 'secret', 'domain_id': 'default'}
    user, _ = call('POST', KEYSTONE + '/users', {'user': user}, admin)
    for who, role in ((user['user']['id'], 'member'), (ADMIN, 'admin')):
        path = f"/projects/{made['project']['id']}/users/{who}/roles/{role.ljust(32, '0')}"
        call('PUT', KEYSTONE + path, None, admin)


def cloud(user, **scope):
    auth = {'auth_url': KEYSTONE, 'username': user, 'password': 'secret', 'user_domain_id': 'default'} | scope
    return {'auth': auth, 'region_name': 'RegionOne'}


admin = token()
for name in ('demo', 'alt_demo'):
    project(name, admin)
external = {'name': 'public', 'router:external': True}
external, _ = call('POST', NETWORK + '/networks', {'network': external}, admin)
subnet = {'network_id': external['network']['id'], 'ip_version': 4, 'cidr': '172.24.4.0/24'}
call('POST', NETWORK + '/subnets', {'subnet': subnet}, admin)
clouds = {
    'devstack': cloud('demo', project_name='demo', project_domain_id='default'),
    'devstack-alt': cloud('alt_demo', project_name='alt_demo', project_domain_id='default'),
    'devstack-admin': cloud('admin', project_name='demo', project_domain_id='default'),
    'devstack-system-admin': cloud('admin', system_scope='all'),
}
with open(os.path.join(folder, 'clouds.yaml'), 'w') as file:
    json.dump({'clouds': clouds}, file)
