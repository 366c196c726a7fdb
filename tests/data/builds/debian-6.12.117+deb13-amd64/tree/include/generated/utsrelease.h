#define UTS_RELEASE "6.12.117+deb13-amd64"
