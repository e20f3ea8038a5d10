# syntax=docker/dockerfile:1
# Build: docker build -t omniledger .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN python -m pip install --no-cache-dir "hatchling>=1.27" \
    && python -m hatchling build -t wheel -d /wheels

FROM python:3.12-slim-bookworm
RUN useradd --create-home --uid 10001 omniledger
WORKDIR /home/omniledger
COPY requirements.lock /tmp/requirements.lock
RUN python -m pip install --no-cache-dir --require-hashes -r /tmp/requirements.lock
COPY --from=build /wheels/*.whl /tmp/
RUN python -m pip install --no-cache-dir --no-deps /tmp/*.whl && rm /tmp/*.whl /tmp/requirements.lock
USER 10001
# A new volume there belongs to whom the folder belongs to.
RUN omniledger init . && mkdir state
ENTRYPOINT ["omniledger"]
CMD ["--help"]
