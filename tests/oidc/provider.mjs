// An OpenID provider on the loopback with one client, which gets JWT access tokens for whatever service it names.
//
//   node provider.mjs PORT [CERTIFICATE KEY]     from a directory where oidc-provider is installed
//
// With a certificate (PEM) it speaks https, as `localhost`.
// It makes its key anew at each start: a restart is a rotation.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as overHttp } from 'node:http';
import { createServer as overHttps } from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Installed elsewhere than this file lies.
const installed = createRequire(`${process.cwd()}/`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(installed));

const [port, certificate, privateKeyFile] = process.argv.slice(2);
const issuer = certificate ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };

const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [{
        client_id: 'land-platform',
        client_secret: 'an invented secret of a test',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_post',
    }],
    ttl: { ClientCredentials: 600 },
    features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
            enabled: true,
            getResourceServerInfo: (_, resource) => ({
                audience: resource,
                scope: 'check',
                accessTokenFormat: 'jwt',
                jwt: { sign: { alg: 'RS256' } },
            }),
        },
    },
});

const server = certificate
    ? overHttps({ cert: readFileSync(certificate), key: readFileSync(privateKeyFile) }, provider.callback())
    : overHttp(provider.callback());
server.listen(Number(port), '127.0.0.1');
