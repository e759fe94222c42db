-- What the other services of the stack keep on the same server.
CREATE EXTENSION IF NOT EXISTS vector;
CREATE DATABASE litellm;
CREATE DATABASE keycloak;
CREATE DATABASE zitadel;
